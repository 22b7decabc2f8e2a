/**
 * feeders: what stands in front of each layer, told as steps that send samples through a model's own weights. Pure.
 *
 * Attention becomes another sample's value: samples know nothing of each other, so there is nothing to attend to. Everything else is computed
 * as the model computes it.
 */
import type { Header, TensorInfo } from '../safetensors/header';
import {
  BRANCH,
  NORMED,
  REGISTERS,
  RESIDUAL,
  SECOND,
  biasUnder,
  columnsOf,
  linearStep,
  rowsOf,
  tensorsUnder,
  type FeederStep,
  type FindTensor,
} from './feederSteps';
import { modulatedSteps } from './modulatedFeeders';
import type { Recognition } from './recognise';
import { MODULATED_STACKS, STACKS, type Stack } from './stacks';

export interface Feeders {
  readonly steps: readonly FeederStep[];
  readonly registerCount: number;
  /** Every weight whose input the steps reach. */
  readonly reached: ReadonlySet<string>;
}

const NONE: Feeders = { steps: [], registerCount: 0, reached: new Set() };

const known = new WeakMap<Header, Feeders>();

/** Nothing where no component is of a family whose layers are written down. Found once for each header. */
export function feedersOf(header: Header, recognition: Recognition): Feeders {
  const found = known.get(header);
  if (found !== undefined) return found;
  // What belongs to no family may be built in a known way all the same.
  const components = recognition.components.length === 0 ? [{ family: 'unknown', prefix: '' } as const] : recognition.components;
  const steps = components.flatMap(({ family, prefix }) => [
    ...STACKS.filter(({ families }) => families.includes(family)).flatMap((stack) =>
      stack.stems.flatMap((stem) => stepsOf(stack, prefix + stem, header)),
    ),
    ...MODULATED_STACKS.filter(({ families }) => families.includes(family)).flatMap((stack) => modulatedSteps(stack, prefix, header)),
  ]);
  const reached = new Set(steps.flatMap((step) => (step.kind === 'reach' ? step.weights : [])));
  const feeders = reached.size === 0 ? NONE : { steps, registerCount: REGISTERS, reached };
  known.set(header, feeders);
  return feeders;
}

/** As far as the tensors are there in a dtype that can be read: the first layer that is built otherwise ends it. */
function stepsOf(stack: Stack, prefix: string, header: Header): readonly FeederStep[] {
  const find = tensorsUnder(prefix, header);
  const tables = stack.tables.map((names) => names.map(find).find((tensor) => tensor?.shape.length === 2));
  const [table, ...others] = tables;
  if (table === undefined || others.includes(undefined)) return [];
  const steps: FeederStep[] = [{ kind: 'gather', out: RESIDUAL, weight: table }];
  for (const other of others) {
    if (other === undefined) continue;
    steps.push({ kind: 'gather', out: BRANCH, weight: other }, { kind: 'add', out: RESIDUAL, a: RESIDUAL, b: BRANCH });
  }
  for (let index = 0; ; index += 1) {
    const layer = layerSteps(stack, (name) => find(stack.layer.replace('{}', String(index)) + name), table.shape[1] ?? 0);
    if (layer === undefined) return index === 0 ? [] : steps;
    steps.push(...layer);
  }
}

/** A norm, attention, a norm, a feed-forward network. Undefined where the layer is not there or built in another way. */
function layerSteps(stack: Stack, find: FindTensor, width: number): readonly FeederStep[] | undefined {
  const { attention, feedForward } = stack;
  const attentionNorm = find(`${attention.norm}.weight`);
  const value = find(`${attention.value}.weight`);
  const attentionOut = find(`${attention.out}.weight`);
  const feedForwardNorm = find(`${feedForward.norm}.weight`);
  const up = find(`${feedForward.up}.weight`);
  const gate = feedForward.gate === undefined ? undefined : find(`${feedForward.gate}.weight`);
  const down = find(`${feedForward.down}.weight`);
  if (attentionNorm === undefined || value === undefined || attentionOut === undefined) return undefined;
  if (feedForwardNorm === undefined || up === undefined || down === undefined) return undefined;
  if (feedForward.gate !== undefined && gate === undefined) return undefined;
  const matrices = [value, attentionOut, up, down, ...(gate === undefined ? [] : [gate])];
  if (matrices.some(({ shape }) => shape.length !== 2)) return undefined;
  if (columnsOf(value) !== width || rowsOf(attentionOut) !== width || columnsOf(up) !== width || rowsOf(down) !== width) return undefined;
  if (columnsOf(down) !== rowsOf(up) || (gate !== undefined && rowsOf(gate) !== rowsOf(up))) return undefined;
  const times = columnsOf(attentionOut) / rowsOf(value);
  if (!Number.isInteger(times)) return undefined;
  const headSize = times === 1 ? 1 : headSizeOf(find(`${attention.queryNorm ?? ''}.weight`), value);

  const reach = (a: number, names: readonly string[], reachedWidth: number): FeederStep => ({
    kind: 'reach',
    a,
    width: reachedWidth,
    weights: names.flatMap((name) => find(`${name}.weight`)?.name ?? []),
  });
  const norm = (weight: TensorInfo, name: string): FeederStep => ({
    kind: stack.norm,
    out: NORMED,
    a: RESIDUAL,
    weight,
    ...biasUnder(find, name),
  });
  const linear = (out: number, a: number, weight: TensorInfo, name: string): FeederStep => linearStep(find, out, a, weight, name);
  const addToResidual: FeederStep = { kind: 'add', out: RESIDUAL, a: RESIDUAL, b: BRANCH };
  const { activation } = feedForward;
  return [
    norm(attentionNorm, attention.norm),
    reach(NORMED, attention.readers, width),
    linear(BRANCH, NORMED, value, attention.value),
    { kind: 'shuffle', out: BRANCH, a: BRANCH },
    ...(times === 1 ? [] : [{ kind: 'repeatHeads', out: BRANCH, a: BRANCH, headSize, times } as const]),
    reach(BRANCH, [attention.out], columnsOf(attentionOut)),
    linear(BRANCH, BRANCH, attentionOut, attention.out),
    addToResidual,
    norm(feedForwardNorm, feedForward.norm),
    reach(NORMED, [feedForward.up, ...(feedForward.gate === undefined ? [] : [feedForward.gate])], width),
    ...(gate === undefined || feedForward.gate === undefined
      ? [linear(BRANCH, NORMED, up, feedForward.up), { kind: 'activate', out: BRANCH, a: BRANCH, activation } as const]
      : [
          linear(BRANCH, NORMED, gate, feedForward.gate),
          { kind: 'activate', out: BRANCH, a: BRANCH, activation } as const,
          linear(SECOND, NORMED, up, feedForward.up),
          { kind: 'multiply', out: BRANCH, a: BRANCH, b: SECOND } as const,
        ]),
    reach(BRANCH, [feedForward.down], columnsOf(down)),
    linear(BRANCH, BRANCH, down, feedForward.down),
    addToResidual,
  ];
}

/** A norm over the queries of one head tells its size; else the usual one, which small models halve. */
function headSizeOf(queryNorm: TensorInfo | undefined, value: TensorInfo): number {
  const told = queryNorm?.shape[0] ?? 0;
  if (told > 0 && rowsOf(value) % told === 0) return told;
  const usual = columnsOf(value) > 2048 ? 128 : 64;
  return rowsOf(value) % usual === 0 ? usual : rowsOf(value);
}
