/**
 * fusedDecisions: layers that vLLM joins into one are quantized all alike or not at all, since it refuses a joined layer whose parts differ. Where
 * one of them cannot be quantized, or a general rule keeps it, the others are kept as well; where overrides part them, the plan is refused. Pure.
 */
import { EngineError } from '../errors';
import { encodingText } from './chooseEncoding';
import { sameEncoding } from './encoding';
import { FORMATS } from './formats/formats';
import { fusedSets } from './fusedProjections';
import type { Plan, PlannedTensor, TensorQuantization } from './plan';
import { holdsAlways } from './rules';
import { layerOfWeight } from './tensorNames';

type Quantized = PlannedTensor & { readonly quantization: TensorQuantization };

/** The weights of a plan that its loader joins, set by set, each in the order of the source. */
export function fusedWeights({ tensors, recipe }: Pick<Plan, 'tensors' | 'recipe'>): readonly (readonly string[])[] {
  if (FORMATS[recipe.layout].projections === 'apart') return [];
  return membersOf(tensors).flatMap((members) => (members.length < 2 ? [] : [members.map(({ source }) => source.name)]));
}

/** Throws EngineError InvalidRecipe. */
export function withFusedSets(tensors: readonly PlannedTensor[]): readonly PlannedTensor[] {
  const reasons = new Map<string, string>();
  for (const members of membersOf(tensors)) {
    const reason = reasonToKeep(members);
    if (reason === undefined) continue;
    for (const { source } of members.filter(isQuantized)) reasons.set(source.name, reason);
  }
  if (reasons.size === 0) return tensors;
  return tensors.map((tensor): PlannedTensor => {
    const reason = reasons.get(tensor.source.name);
    if (reason === undefined) return tensor;
    const { quantization: _, ...rest } = tensor;
    return { ...rest, action: 'keep', rule: 'fused', reason };
  });
}

function membersOf(tensors: readonly PlannedTensor[]): readonly (readonly PlannedTensor[])[] {
  const byLayer = new Map(
    tensors.flatMap((tensor) => {
      const layer = layerOfWeight(tensor.source.name);
      return layer === undefined || tensor.action === 'remove' || tensor.source.shape.length !== 2 ? [] : [[layer, tensor] as const];
    }),
  );
  return fusedSets(new Set(byLayer.keys())).map((layers) => layers.flatMap((layer) => byLayer.get(layer) ?? []));
}

/** Of members that are quantized while another is not; undefined where they agree. */
function reasonToKeep(members: readonly PlannedTensor[]): string | undefined {
  const quantized = members.filter(isQuantized);
  const [first] = quantized;
  if (first === undefined) return undefined;
  const other = quantized.find(({ quantization }) => !sameEncoding(quantization.encoding, first.quantization.encoding));
  if (other !== undefined) {
    throw refuse(
      members,
      first,
      `${textOf(first)} and ${textOf(other)}`,
      'Give them all the same target and granularity, or keep them all.',
    );
  }
  const kept = members.filter(({ action }) => action === 'keep');
  const [stopped] = kept;
  if (stopped === undefined) return undefined;
  const chosen =
    kept.find(({ rule }) => rule === 'override') ??
    (quantized.some(({ rule }) => rule === 'override') ? kept.find(({ rule }) => !holdsAlways(rule)) : undefined);
  if (chosen !== undefined) {
    throw refuse(members, first, `${textOf(first)}, and ${layerName(chosen)} kept`, 'Keep them all, or quantize them all alike.');
  }
  return `Fused: vLLM joins it with ${layerName(stopped)}, which is kept (${stopped.reason.replace(/\.$/, '')}), and takes only layers that are quantized alike.`;
}

function refuse(members: readonly PlannedTensor[], { source }: PlannedTensor, difference: string, remedy: string): EngineError {
  const pattern = `--keep '/\\.(${members.map((member) => layerName(member).replace(/^.*\./, '')).join('|')})\\./'`;
  return new EngineError(
    'InvalidRecipe',
    `vLLM joins ${members.map(layerName).join(' and ')} into one layer, and refuses it where they differ: here ${difference}. ` +
      `${remedy} ${pattern} keeps them in every block.`,
    { tensor: source.name },
  );
}

function textOf(tensor: Quantized): string {
  return `${layerName(tensor)} in ${encodingText(tensor.quantization.encoding)}`;
}

function layerName({ source: { name } }: PlannedTensor): string {
  return layerOfWeight(name) ?? name;
}

function isQuantized(tensor: PlannedTensor): tensor is Quantized {
  return tensor.quantization !== undefined;
}
