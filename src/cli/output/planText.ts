/** planText: a plan as a compact table. Pure. */
import { formatBytes, formatQuantity, formatShape } from '../../base/format';
import { modelSeenText, type ModelSeen } from '../../engine/families/modelSeen';
import type { Action, Plan, PlannedTensor } from '../../engine/plan/plan';
import { plannedBytes } from '../../engine/plan/plannedBytes';
import { recipeText } from '../../engine/plan/recipeText';
import { steeringText, wholeReason, type SteeringGroup } from '../../engine/plan/steering';
import type { ConfigBeside } from '../../engine/job/configFile';
import type { StoredWork } from '../../engine/job/convertRequest';
import { commandWords } from './commandWords';
import { printable, table } from './text';
import type { Style } from './terminal';

export interface PlanFacts extends PlanSizes {
  readonly source: string;
  readonly output: string;
  readonly model: ModelSeen;
  readonly work?: StoredWork;
  /** Beside the output. */
  readonly config?: ConfigBeside;
  readonly steering?: readonly SteeringGroup[];
}

/** Of all files together. */
export interface PlanSizes {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly filesIn: number;
  readonly filesOut: number;
}

/** Of what stands before a line's text. */
export const PLAN_LABEL_WIDTH = 8;

/** What a plan does to a tensor, in a word: of what is kept, whether it is written in another form. */
type Verb = Action | 'dequantize' | 'migrate';

const VERBS: readonly Verb[] = ['quantize', 'dequantize', 'migrate', 'keep', 'remove'];

function verbOf({ action, rule, stored, quantization }: PlannedTensor): Verb {
  if (action !== 'keep') return action;
  if (rule === 'dequantized' && stored !== undefined) return 'dequantize';
  return rule === 'migrated' && quantization !== undefined ? 'migrate' : 'keep';
}

export function planText(plan: Plan, facts: PlanFacts, detail: 'summary' | 'every tensor', style: Style): string {
  const { source, output, model, work, config, steering = [], bytesIn, bytesOut, filesIn, filesOut } = facts;
  return [
    `${style.bold('Plan')} for ${printable(source)}`,
    `  source  ${formatBytes(bytesIn)}, ${formatQuantity(plan.tensors.length, 'tensor')}${inFiles(filesIn)}`,
    `  output  ${formatBytes(bytesOut)} (${percentOf(bytesOut, bytesIn)} of the source)${inFiles(filesOut)}: ${printable(output)}`,
    ...configLines(config),
    ...(work === undefined
      ? [
          `  model   ${printable(modelSeenText(model, detail === 'every tensor' ? 'every reason' : 'first reason'))}`,
          `  recipe  ${recipeText(plan.recipe)}`,
        ]
      : [`  work    ${workText(work)}`]),
    ...steeringLines(steering, PLAN_LABEL_WIDTH),
    '',
    ...groupTable(plan, style),
    ...(detail === 'every tensor' ? ['', ...tensorTable(plan.tensors, style)] : []),
    ...plan.warnings.map((warning) => `${style.warning('warning:')} ${printable(commandWords(warning))}`),
    '',
  ].join('\n');
}

/** `  steered 24 propagated, outputs gram: samples reach it through the layers before it.`, the label as wide as those above it. */
export function steeringLines(groups: readonly SteeringGroup[], width: number): readonly string[] {
  return groups.map((group, index) => `  ${(index === 0 ? 'steered' : '').padEnd(width)}${printable(steeringText(group))}`);
}

function configLines(config: ConfigBeside | undefined): readonly string[] {
  if (config?.kind !== 'written' && config?.kind !== 'replaced') return [];
  return [`  config  ${printable(config.path)} is ${config.kind}, with quantization_config`];
}

function workText(work: StoredWork): string {
  switch (work.kind) {
    case 'dequantize':
      return `dequantize to ${work.dtype}`;
    case 'migrate':
      return `migrate to the layout ${work.layout}`;
  }
}

function inFiles(count: number): string {
  return count === 1 ? '' : `, in ${formatQuantity(count, 'file')}`;
}

/** The part of a reason that many tensors share: "Norm: it is small." begins with its kind. */
export function kindOfReason(reason: string): string {
  const colon = reason.indexOf(': ');
  return colon === -1 ? reason : reason.slice(0, colon);
}

function groupTable({ tensors }: Plan, style: Style): readonly string[] {
  const groups = new Map<
    string,
    { readonly verb: Verb; readonly kind: string; count: number; bytesIn: number; bytesOut: number; reason: string }
  >();
  for (const tensor of tensors) {
    const { reason, source, correction } = tensor;
    const verb = verbOf(tensor);
    const kind = kindOfReason(reason);
    // Corrected biases, and those that stay as they are, are told apart.
    const key = `${verb} ${correction?.mean ?? 'as it is'} ${kind}`;
    const group = groups.get(key) ?? { verb, kind, count: 0, bytesIn: 0, bytesOut: 0, reason };
    group.count += 1;
    group.bytesIn += source.end - source.begin;
    group.bytesOut += plannedBytes(tensor);
    groups.set(key, group);
  }
  const rows = [...groups.values()]
    .sort((a, b) => VERBS.indexOf(a.verb) - VERBS.indexOf(b.verb) || b.bytesIn - a.bytesIn)
    .map(({ verb, kind, count, bytesIn, bytesOut, reason }) => [
      verb,
      String(count),
      formatBytes(bytesIn),
      formatBytes(bytesOut),
      printable(reasonOfGroup({ reason, kind, count })),
    ]);
  return table(
    [
      { title: 'action', align: 'left' },
      { title: 'tensors', align: 'right' },
      { title: 'from', align: 'right' },
      { title: 'to', align: 'right' },
      { title: 'why', align: 'left' },
    ],
    rows,
    style.dim,
  );
}

/** A shape in the reason is one tensor's; of several only the kind is true. What a layout does not take, people may want to change. */
function reasonOfGroup({ reason, kind, count }: { readonly reason: string; readonly kind: string; readonly count: number }): string {
  if (count === 1 || !/\d/.test(reason)) return reason;
  return kind === 'Layout' ? `${kind}, e.g.${reason.slice(kind.length + 1)}` : kind;
}

function tensorTable(tensors: readonly PlannedTensor[], style: Style): readonly string[] {
  const rows = tensors.map((tensor) => {
    const {
      source: { name, dtype, shape, exactShape },
      reason,
      quantization,
    } = tensor;
    return [
      verbOf(tensor),
      printable(name),
      dtype,
      exactShape === undefined ? formatShape(shape) : exactShape.join(' × '),
      printable(wholeReason({ reason, ...(quantization === undefined ? {} : { quantization }) })),
    ];
  });
  return table(
    [
      { title: 'action', align: 'left' },
      { title: 'tensor', align: 'left' },
      { title: 'dtype', align: 'left' },
      { title: 'shape', align: 'left' },
      { title: 'why', align: 'left' },
    ],
    rows,
    style.dim,
  );
}

export function percentOf(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(0)} %`;
}
