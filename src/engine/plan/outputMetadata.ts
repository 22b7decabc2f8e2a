/** The output's `__metadata__`: the source's, the layout's, and where the file comes from. */
import { basename } from 'node:path';
import { DEFAULT_BLOCK_SIZE, TARGET_FACTS } from './encoding';
import type { QuantizedLayer } from './outputFormat';
import type { Recipe } from './recipe';
import { ENCODINGS_KEY, encodingsText } from './stored/declaredEncodings';

const VERSION_KEY = 'fp8_quantizer.version';
const RECIPE_KEY = 'fp8_quantizer.recipe';
/** Names, as a JSON list: a reader that compares with the source must know that these differ on purpose. */
export const CORRECTED_BIASES_KEY = 'fp8_quantizer.corrected_biases';

export function outputMetadata(
  source: ReadonlyMap<string, string>,
  layout: ReadonlyMap<string, string>,
  provenance: {
    readonly toolVersion: string;
    readonly recipe: Recipe;
    readonly layers: readonly QuantizedLayer[];
    readonly correctedBiases?: readonly string[];
  },
): ReadonlyMap<string, string> {
  const metadata = new Map([...source, ...layout]);
  const recipe = withoutIdleBlockSize(provenance.recipe);
  metadata.set(freeKey(VERSION_KEY, metadata), provenance.toolVersion);
  metadata.set(freeKey(RECIPE_KEY, metadata), canonicalJson(recipe));
  const beside = layersBesideRecipe({ layers: provenance.layers, recipe }, source);
  if (beside.length > 0) metadata.set(freeKey(ENCODINGS_KEY, metadata), encodingsText(beside));
  const { correctedBiases = [] } = provenance;
  if (correctedBiases.length > 0) metadata.set(freeKey(CORRECTED_BIASES_KEY, metadata), JSON.stringify(correctedBiases));
  return metadata;
}

/**
 * Whose blocks a reader could not take from the recipe alone: those of overrides, and all where the source has a recipe of its own; and what is padded,
 * whose shape is not that of its codes.
 */
function layersBesideRecipe(
  { layers, recipe }: { readonly layers: readonly QuantizedLayer[]; readonly recipe: Recipe },
  source: ReadonlyMap<string, string>,
): readonly QuantizedLayer[] {
  const [rows, columns] = recipe.blockSize;
  const isAlone =
    recipe.granularity !== 'tensor' && recipe.granularity !== 'row' && ![...source.keys()].some((key) => key.startsWith('fp8_quantizer.'));
  return layers.filter(({ encoding: { target, granularity }, paddedFrom }) => {
    if (paddedFrom !== undefined) return true;
    if (granularity.kind !== 'block' || TARGET_FACTS[target].block !== undefined) return false;
    return !isAlone || granularity.rows !== rows || granularity.columns !== columns;
  });
}

/** A size that no block has would mislead whoever reads the file by it. */
function withoutIdleBlockSize(recipe: Recipe): Recipe {
  const isAskedFor = ({ granularity, blockSize }: Recipe['overrides'][number]): boolean =>
    granularity === 'block' && blockSize === undefined;
  return recipe.granularity === 'block' || recipe.overrides.some(isAskedFor) ? recipe : { ...recipe, blockSize: DEFAULT_BLOCK_SIZE };
}

/** A source that was itself made by this tool keeps what it says of its own making. */
function freeKey(key: string, taken: ReadonlyMap<string, string>): string {
  for (let count = 1; ; count += 1) {
    const candidate = count === 1 ? key : `${key}.${count}`;
    if (!taken.has(candidate)) return candidate;
  }
}

/** The same recipe gives the same bytes, in whatever order its fields were set and wherever its files lay. */
function canonicalJson(recipe: Recipe): string {
  const { calibration } = recipe;
  const entries = Object.entries({ ...recipe, calibration: calibration === null ? null : basename(calibration) });
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
}
