/** sourceForRecipe: a source as a recipe wants it read: as it is, or the codes that it holds as the numbers that they stand for. */
import type { ModelSource } from '../../safetensors/modelSource';
import type { Recipe } from '../recipe';
import { dequantizedHeader } from './dequantizedHeader';
import { readStored } from './readStored';
import type { StoredSource } from './sourceCodes';

export interface SourceForRecipe {
  /** Its header is that of the numbers, where codes are read as numbers. */
  readonly source: ModelSource;
  /** Where codes are read as numbers. */
  readonly stored?: StoredSource;
}

/** What dequantized weights are where only some of them are wanted as numbers. */
export const NUMBERS = 'BF16';

/** Throws EngineError where the files cannot be read. */
export async function sourceForRecipe(source: ModelSource, { quantized }: Pick<Recipe, 'quantized'>): Promise<SourceForRecipe> {
  if (quantized === 'keep') return { source };
  const stored = await readStored(source);
  return { source: { ...source, header: dequantizedHeader(source.header, stored, NUMBERS) }, stored };
}
