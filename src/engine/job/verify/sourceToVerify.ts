/** sourceToVerify: a source as it is, or, where a converted model has its codes otherwise, as the numbers that these stand for. */
import { sourceForRecipe, type SourceForRecipe } from '../../plan/stored/sourceForRecipe';
import type { Header } from '../../safetensors/header';
import type { ModelSource } from '../../safetensors/modelSource';
import { migratedTo, type ConvertedFile } from './convertedFile';

/** Otherwise: rounded anew, written as numbers, or stored as another layout has them. Throws EngineError where the files cannot be read. */
export async function sourceToVerify(source: ModelSource, { header, provenance }: ConvertedFile): Promise<SourceForRecipe> {
  const asNumbers = await sourceForRecipe(source, { quantized: 'requantize' });
  if (provenance?.recipe.quantized === 'requantize' || migratedTo(header) !== undefined) return asNumbers;
  const { byName, companions } = asNumbers.stored ?? { byName: new Map<string, never>(), companions: new Set<string>() };
  const parts = [...[...byName.values()].map(({ codes }) => codes.name), ...companions];
  return parts.every((name) => isSame(source.header, header, name)) ? { source } : asNumbers;
}

function isSame(source: Header, converted: Header, name: string): boolean {
  const [before, after] = [source.byName.get(name), converted.byName.get(name)];
  return before !== undefined && before.dtype === after?.dtype && before.shape.join() === after.shape.join();
}
