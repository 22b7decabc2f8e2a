/** previewOf: what rounding would make of one tensor of a scene's model, by its engine. Throws what the engine says where it fails. */
import { defaultRecipe, type Recipe } from '../../src/engine/plan/recipe';
import type { RoundingPreview } from '../../src/engine/inspect/inspectEvent';
import type { EngineScene } from './engineScene';

export async function previewOf(
  { client, source }: Pick<EngineScene, 'client' | 'source'>,
  tensor: string,
  recipe: Partial<Recipe> = {},
): Promise<RoundingPreview> {
  const request = { path: source, tensor, threads: 0, recipe: defaultRecipe(recipe), device: 'cpu' };
  for await (const event of client.preview(request, new AbortController().signal)) {
    if (event.type === 'done') return event.preview;
    if (event.type === 'failed') throw new Error(event.error.message);
  }
  throw new Error('the preview did not end');
}
