/**
 * cutPlan: one plan → the plans of several files, each of which is laid out for itself and says only what concerns its own tensors. Pure.
 *
 * A weight and what belongs to it stay together, a bias that takes over its rounding as well: codes and bias are read from one file. So do weights that a
 * loader joins: where one of these turns out to have NaN, the others have to be kept as well, also when they are computed already. Which tensors are together is decided once for a job (`Parts`), since a plan that is made anew
 * must be cut at the same places.
 */
import { parseHeader } from '../safetensors/parseHeader';
import { layOut } from '../safetensors/layout';
import { fusedWeights } from './fusedDecisions';
import type { OutputTensor, Plan } from './plan';

/** The source tensor's name → the part that it goes to, counted from 0 without gaps. */
export interface Parts {
  readonly byTensor: ReadonlyMap<string, number>;
  readonly count: number;
}

const QUANTIZATION_METADATA = '_quantization_metadata';

/** As the source is cut. Files of which nothing is left are left out. */
export function partsOfSource(plan: Plan): Parts {
  return numbered(plan, ({ source }) => source.file ?? 0);
}

/** In the order of the source, each as full as it may be; a tensor that is larger by itself gets a part of its own. */
export function partsOfSize(plan: Plan, mostBytes: number): Parts {
  const bytes = bytesBySource(plan);
  const companions = companionsOf(plan);
  let part = 0;
  let filled = 0;
  return numbered(plan, ({ source: { name } }) => {
    const together = [name, ...(companions.get(name) ?? [])];
    const size = together.reduce((sum, each) => sum + (bytes.get(each) ?? 0), 0);
    if (filled > 0 && filled + size > mostBytes) {
      part += 1;
      filled = 0;
    }
    filled += size;
    return part;
  });
}

export function cutPlan(plan: Plan, { byTensor, count }: Parts): readonly Plan[] {
  if (count === 1) return [plan];
  const partOf = (name: string): number => byTensor.get(name) ?? 0;
  const outputs = grouped(plan.output.tensors, count, (output) => partOf(ownerOf(output, byTensor)));
  const tensors = grouped(plan.tensors, count, ({ source: { name } }) => partOf(name));
  const { metadata } = parseHeader(plan.output.headerBytes, plan.output.fileSize);
  return outputs.map((own, part) => {
    const layers = new Set(own.map(({ name }) => name.replace(/\.weight$/, '')));
    const laidOut = layOut(
      own.map((output) => ({ ...output, byteLength: output.end - output.begin })),
      new Map([...metadata].map(([key, value]) => [key, key === QUANTIZATION_METADATA ? describing(value, layers) : value])),
    );
    const warnings = part === 0 ? plan.warnings : [];
    return { recipe: plan.recipe, tensors: tensors[part] ?? [], output: laidOut, warnings };
  });
}

/**
 * Numbers whatever is not removed by `keyOf`, which is asked in order, and not of companions, which go with their weight; what is removed counts in the
 * first part.
 */
function numbered(plan: Plan, keyOf: (tensor: Plan['tensors'][number]) => number): Parts {
  const numbers = new Map<number, number>();
  const byTensor = new Map<string, number>();
  const companions = companionsOf(plan);
  const following = new Set([...companions.values()].flat());
  for (const tensor of plan.tensors) {
    const { name } = tensor.source;
    if (tensor.action === 'remove' || following.has(name)) continue;
    const key = keyOf(tensor);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    for (const each of [name, ...(companions.get(name) ?? [])]) byTensor.set(each, number);
  }
  return { byTensor, count: Math.max(1, numbers.size) };
}

/** What goes where a weight goes: those that it is joined with, of which it is the first, and the biases that take over what rounding does to them. */
function companionsOf(plan: Plan): ReadonlyMap<string, readonly string[]> {
  const sets = new Map(fusedWeights(plan).map(([first = '', ...others]) => [first, others]));
  const firstOf = new Map([...sets].flatMap(([first, others]) => others.map((other) => [other, first])));
  for (const { source, correction } of plan.tensors) {
    if (correction === undefined) continue;
    const first = firstOf.get(correction.weight) ?? correction.weight;
    sets.set(first, [...(sets.get(first) ?? []), source.name]);
  }
  return sets;
}

function bytesBySource({ output }: Plan): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  for (const { origin, begin, end } of output.tensors) {
    if (origin.kind === 'literal') continue;
    bytes.set(origin.source.name, (bytes.get(origin.source.name) ?? 0) + end - begin);
  }
  return bytes;
}

/** The name of the source tensor beside which an output tensor belongs. */
function ownerOf({ name, origin }: OutputTensor, byTensor: ReadonlyMap<string, number>): string {
  if (origin.kind !== 'literal') return origin.source.name;
  const weight = `${name.slice(0, Math.max(0, name.lastIndexOf('.')))}.weight`;
  return byTensor.has(weight) ? weight : name;
}

function grouped<T>(items: readonly T[], count: number, groupOf: (item: T) => number): readonly (readonly T[])[] {
  const groups = Array.from({ length: count }, (): T[] => []);
  for (const item of items) groups[groupOf(item)]?.push(item);
  return groups;
}

/** The description of layers, of those alone that are here. */
function describing(text: string, layers: ReadonlySet<string>): string {
  const described = JSON.parse(text) as { readonly layers?: Readonly<Record<string, unknown>> };
  const own = Object.entries(described.layers ?? {}).filter(([layer]) => layers.has(layer));
  return JSON.stringify({ ...described, layers: Object.fromEntries(own) });
}
