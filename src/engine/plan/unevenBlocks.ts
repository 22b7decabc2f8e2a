/** unevenBlocks: the matrices that are kept because they do not divide into the blocks of the recipe, and the blocks into which they would. Pure. */
import { formatQuantity } from '../../base/format';
import { chooseEncoding, wishOf } from './chooseEncoding';
import { TARGET_FACTS } from './encoding';
import type { PlannedTensor } from './plan';
import type { Recipe } from './recipe';
import { tensorEncodings } from './tensorEncodings';

export interface UnevenBlocks {
  /** Of square blocks: the largest with which no other quantizes more. */
  readonly edge: number;
  /** For people. */
  readonly sentence: string;
}

const EDGES = [128, 64, 32, 16];

/** `undefined` where no smaller blocks would do more. */
export function unevenBlocks(tensors: readonly PlannedTensor[], recipe: Recipe): UnevenBlocks | undefined {
  const { granularity } = chooseEncoding(wishOf(recipe));
  // Blocks that a target has by definition are not to be chosen.
  if (granularity.kind !== 'block' || TARGET_FACTS[recipe.target].block !== undefined) return undefined;
  const kept = tensors.filter(({ rule, source: { shape } }) => rule === 'layout' && shape.length === 2);
  if (kept.length === 0) return undefined;
  const quantized = tensors.filter(({ action }) => action === 'quantize');
  const gains = EDGES.filter((edge) => edge < Math.max(granularity.rows, granularity.columns)).map((edge) => {
    const { obstacle } = tensorEncodings({ ...recipe, granularity: 'block', blockSize: [edge, edge] });
    const freed = kept.filter(({ source }) => obstacle(source) === undefined).length;
    return { edge, freed, gain: freed - quantized.filter(({ source }) => obstacle(source) !== undefined).length };
  });
  const [best] = gains.sort((a, b) => b.gain - a.gain || b.edge - a.edge);
  if (best === undefined || best.gain <= 0) return undefined;
  const matrices = formatQuantity(best.freed, 'matrix', 'matrices');
  const [verb, are] = best.freed === 1 ? ['does', 'is'] : ['do', 'are'];
  const blocks = `${granularity.rows} × ${granularity.columns}`;
  return {
    edge: best.edge,
    sentence: `${matrices} ${verb} not divide into blocks of ${blocks} and ${are} kept; blocks of ${best.edge} × ${best.edge} would take ${best.freed === 1 ? 'it' : 'them'}.`,
  };
}
