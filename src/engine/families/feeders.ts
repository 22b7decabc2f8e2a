/**
 * feeders: what stands in front of each layer, told as steps that send samples through a model's own weights. Pure.
 *
 * Attention becomes another sample's value: samples know nothing of each other, so there is nothing to attend to. Everything else is computed
 * as the model computes it.
 */
import type { Header, TensorInfo } from '../safetensors/header';
import { isSourceDtype } from '../dtype';
import type { Recognition } from './recognise';
import { STACKS, type Activation, type Stack } from './stacks';

/** Registers hold one vector for each sample. */
export type FeederStep =
  | { readonly kind: 'gather'; readonly out: number; readonly weight: TensorInfo }
  | { readonly kind: 'linear'; readonly out: number; readonly a: number; readonly weight: TensorInfo; readonly bias?: TensorInfo }
  | {
      readonly kind: 'rmsNorm' | 'layerNorm';
      readonly out: number;
      readonly a: number;
      readonly weight: TensorInfo;
      readonly bias?: TensorInfo;
    }
  | { readonly kind: 'activate'; readonly out: number; readonly a: number; readonly activation: Activation }
  | { readonly kind: 'multiply' | 'add'; readonly out: number; readonly a: number; readonly b: number }
  | { readonly kind: 'shuffle'; readonly out: number; readonly a: number }
  | { readonly kind: 'repeatHeads'; readonly out: number; readonly a: number; readonly headSize: number; readonly times: number }
  /** What is in `a` is the input of these weights. */
  | { readonly kind: 'reach'; readonly a: number; readonly width: number; readonly weights: readonly string[] };

export interface Feeders {
  readonly steps: readonly FeederStep[];
  readonly registerCount: number;
  /** Every weight whose input the steps reach. */
  readonly reached: ReadonlySet<string>;
}

const RESIDUAL = 0;
const NORMED = 1;
const BRANCH = 2;
const SECOND = 3;
const REGISTERS = 4;

const NONE: Feeders = { steps: [], registerCount: 0, reached: new Set() };

const known = new WeakMap<Header, Feeders>();

/** Nothing where no component is of a family whose layers are written down. Found once for each header. */
export function feedersOf(header: Header, recognition: Recognition): Feeders {
  const found = known.get(header);
  if (found !== undefined) return found;
  const steps = recognition.components.flatMap(({ family, prefix }) =>
    STACKS.filter(({ families }) => families.includes(family)).flatMap((stack) =>
      stack.stems.flatMap((stem) => stepsOf(stack, prefix + stem, header)),
    ),
  );
  const reached = new Set(steps.flatMap((step) => (step.kind === 'reach' ? step.weights : [])));
  const feeders = reached.size === 0 ? NONE : { steps, registerCount: REGISTERS, reached };
  known.set(header, feeders);
  return feeders;
}

/** As far as the tensors are there in a dtype that can be read: the first layer that is built otherwise ends it. */
function stepsOf(stack: Stack, prefix: string, header: Header): readonly FeederStep[] {
  const find = (name: string): TensorInfo | undefined => {
    const tensor = header.byName.get(prefix + name);
    return tensor !== undefined && isSourceDtype(tensor.dtype) && tensor.end > tensor.begin ? tensor : undefined;
  };
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

type Find = (name: string) => TensorInfo | undefined;

/** A norm, attention, a norm, a feed-forward network. Undefined where the layer is not there or built in another way. */
function layerSteps(stack: Stack, find: Find, width: number): readonly FeederStep[] | undefined {
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
    ...optional(find(`${name}.bias`)),
  });
  const linear = (out: number, a: number, weight: TensorInfo, name: string): FeederStep => ({
    kind: 'linear',
    out,
    a,
    weight,
    ...optional(find(`${name}.bias`)),
  });
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

function optional(bias: TensorInfo | undefined): { readonly bias?: TensorInfo } {
  return bias === undefined ? {} : { bias };
}

function rowsOf({ shape }: TensorInfo): number {
  return shape[0] ?? 0;
}

function columnsOf({ shape }: TensorInfo): number {
  return shape[1] ?? 0;
}

/** A norm over the queries of one head tells its size; else the usual one, which small models halve. */
function headSizeOf(queryNorm: TensorInfo | undefined, value: TensorInfo): number {
  const told = queryNorm?.shape[0] ?? 0;
  if (told > 0 && rowsOf(value) % told === 0) return told;
  const usual = columnsOf(value) > 2048 ? 128 : 64;
  return rowsOf(value) % usual === 0 ? usual : rowsOf(value);
}
