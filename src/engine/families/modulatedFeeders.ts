/** modulatedFeeders: the steps of diffusion transformers whose norms are modulated by time step and condition (adaLN). Pure. */
import type { Header, TensorInfo } from '../safetensors/header';
import {
  BRANCH,
  columnsOf,
  CONDITION,
  linearStep,
  MODULATION,
  NORMED,
  RESIDUAL,
  rowsOf,
  SECOND,
  tensorsUnder,
  type FeederStep,
  type FindTensor,
} from './feederSteps';
import type { ModulatedStack } from './stacks';

/** The parts of a block's modulation, in their order. */
const PARTS = 6;
const ATTENTION = { shift: 0, scale: 1, gate: 2 } as const;
const FEED_FORWARD = { shift: 3, scale: 4, gate: 5 } as const;

/** From noise, a moment and a class, as sampling begins. As far as the blocks are built as the stack says; nothing where the start is not. */
export function modulatedSteps(stack: ModulatedStack, prefix: string, header: Header): readonly FeederStep[] {
  const find = tensorsUnder(prefix, header);
  const start = startSteps(stack, find);
  if (start === undefined) return [];
  const blocks: Block[] = [];
  for (let index = 0; ; index += 1) {
    const place = stack.block.replace('{}', String(index));
    const block = blockAt(stack, (name) => find(place + name), start.width);
    if (block === undefined) break;
    blocks.push(block);
  }
  if (blocks.length === 0) return [];
  const last = find(`${stack.lastModulation}.weight`);
  const readers = [...blocks.map(({ modulation }) => modulation), ...(last !== undefined && columnsOf(last) === start.width ? [last] : [])];
  return [
    ...start.steps,
    { kind: 'reach', a: CONDITION, width: start.width, weights: readers.map(({ name }) => name) },
    ...blocks.flatMap(({ steps }) => steps),
  ];
}

/** The residual stream and the condition, activated, before the first block. */
function startSteps(
  stack: ModulatedStack,
  find: FindTensor,
): { readonly steps: readonly FeederStep[]; readonly width: number } | undefined {
  const [input] = layersOf(stack.input, find);
  const [first, second] = stack.time.map((names) => layersOf(names, find)).find(({ length }) => length === 2) ?? [];
  if (input === undefined || first === undefined || second === undefined) return undefined;
  const width = rowsOf(input.weight);
  if (rowsOf(second.weight) !== width || columnsOf(second.weight) !== rowsOf(first.weight)) return undefined;
  const positions = find(stack.positions);
  if (positions?.shape.at(-1) !== width) return undefined;
  const classes = stack.classes.map(find).find((table) => table?.shape.length === 2 && columnsOf(table) === width);
  const steps: readonly FeederStep[] = [
    { kind: 'noise', out: BRANCH, width: columnsOf(input.weight) },
    linearStep(find, RESIDUAL, BRANCH, input.weight, input.name),
    { kind: 'gather', out: BRANCH, weight: positions },
    { kind: 'add', out: RESIDUAL, a: RESIDUAL, b: BRANCH },
    { kind: 'time', out: BRANCH, width: columnsOf(first.weight) },
    linearStep(find, BRANCH, BRANCH, first.weight, first.name),
    { kind: 'activate', out: BRANCH, a: BRANCH, activation: 'silu' },
    linearStep(find, CONDITION, BRANCH, second.weight, second.name),
    ...(classes === undefined
      ? []
      : ([
          { kind: 'gather', out: BRANCH, weight: classes },
          { kind: 'add', out: CONDITION, a: CONDITION, b: BRANCH },
        ] as const)),
    { kind: 'activate', out: CONDITION, a: CONDITION, activation: 'silu' },
  ];
  return { steps, width };
}

interface Layer {
  readonly name: string;
  readonly weight: TensorInfo;
}

function layersOf(names: readonly string[], find: FindTensor): readonly Layer[] {
  return names.flatMap((name): Layer[] => {
    const weight = find(`${name}.weight`);
    return weight === undefined ? [] : [{ name, weight }];
  });
}

interface Block {
  readonly modulation: TensorInfo;
  readonly steps: readonly FeederStep[];
}

function blockAt({ modulation, attention, feedForward }: ModulatedStack, find: FindTensor, width: number): Block | undefined {
  const modulate = find(`${modulation}.weight`);
  const qkv = find(`${attention.qkv}.weight`);
  const attentionOut = find(`${attention.out}.weight`);
  const up = find(`${feedForward.up}.weight`);
  const down = find(`${feedForward.down}.weight`);
  if (modulate === undefined || qkv === undefined || attentionOut === undefined || up === undefined || down === undefined) return undefined;
  const inner = rowsOf(up);
  const fits =
    [modulate, qkv, up].every((weight) => columnsOf(weight) === width) &&
    [attentionOut, down].every((weight) => rowsOf(weight) === width) &&
    rowsOf(modulate) === PARTS * width &&
    rowsOf(qkv) === 3 * columnsOf(attentionOut) &&
    columnsOf(down) === inner;
  if (!fits) return undefined;
  const part = (index: number): FeederStep => ({ kind: 'slice', out: SECOND, a: MODULATION, width, part: index });
  const norm = ({ shift, scale }: typeof ATTENTION | typeof FEED_FORWARD): readonly FeederStep[] => [
    { kind: 'layerNorm', out: NORMED, a: RESIDUAL },
    part(scale),
    { kind: 'modulate', out: NORMED, a: NORMED, b: SECOND },
    part(shift),
    { kind: 'add', out: NORMED, a: NORMED, b: SECOND },
  ];
  const write = ({ gate }: typeof ATTENTION | typeof FEED_FORWARD, weight: TensorInfo, name: string): readonly FeederStep[] => [
    { kind: 'reach', a: BRANCH, width: columnsOf(weight), weights: [weight.name] },
    linearStep(find, BRANCH, BRANCH, weight, name),
    part(gate),
    { kind: 'multiply', out: BRANCH, a: BRANCH, b: SECOND },
    { kind: 'add', out: RESIDUAL, a: RESIDUAL, b: BRANCH },
  ];
  const steps: readonly FeederStep[] = [
    linearStep(find, MODULATION, CONDITION, modulate, modulation),
    ...norm(ATTENTION),
    { kind: 'reach', a: NORMED, width, weights: [qkv.name] },
    linearStep(find, BRANCH, NORMED, qkv, attention.qkv),
    { kind: 'slice', out: BRANCH, a: BRANCH, width: columnsOf(attentionOut), part: 2 },
    { kind: 'shuffle', out: BRANCH, a: BRANCH },
    ...write(ATTENTION, attentionOut, attention.out),
    ...norm(FEED_FORWARD),
    { kind: 'reach', a: NORMED, width, weights: [up.name] },
    linearStep(find, BRANCH, NORMED, up, feedForward.up),
    { kind: 'activate', out: BRANCH, a: BRANCH, activation: feedForward.activation },
    ...write(FEED_FORWARD, down, feedForward.down),
  ];
  return { modulation: modulate, steps };
}
