/** sourceWarnings: what a user should know of a plan for what stands beside the model, or does not: the rest of its shards, its config.json. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonObject, parsedJson } from '../../base/json';
import { loneShardOf, type ModelSource } from '../safetensors/modelSource';
import type { Plan } from './plan';
import type { Layout } from './recipe';

/** Never throws: what cannot be read says nothing. */
export async function sourceWarnings(source: ModelSource, plan: Pick<Plan, 'recipe' | 'tensors'>): Promise<readonly string[]> {
  return [loneShardWarning(source), await otherLoaders(source, plan)].filter((warning) => warning !== undefined);
}

export function loneShardWarning(source: Pick<ModelSource, 'files' | 'index'>): string | undefined {
  const shard = loneShardOf(source);
  if (shard === undefined) return undefined;
  const { name, count, indexName } = shard;
  return `${name} is one of ${count} shards by its name, and no ${indexName} beside it says so: the rest of the model is left behind. Put the index and all shards into one folder, and choose that.`;
}

/** The layouts that the loaders of a config.json with `architectures` read. */
const READ_BY_TRANSFORMERS: readonly Layout[] = ['compressed-tensors', 'huggingface'];

/** Of a single file nobody knows for whom it is; a folder goes along with its config.json, and looks ready to be loaded. */
async function otherLoaders(
  { kind, folder }: ModelSource,
  { recipe, tensors }: Pick<Plan, 'recipe' | 'tensors'>,
): Promise<string | undefined> {
  if (kind === 'file' || READ_BY_TRANSFORMERS.includes(recipe.layout)) return undefined;
  if (!tensors.some(({ action }) => action === 'quantize')) return undefined;
  const architecture = await architectureIn(folder);
  if (architecture === undefined) return undefined;
  return `transformers and vLLM, for which config.json is (${architecture}), do not read the layout ${recipe.layout}. Choose the layout compressed-tensors (vLLM) or huggingface (transformers) for them.`;
}

async function architectureIn(folder: string): Promise<string | undefined> {
  const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => '');
  const architectures = jsonObject(parsedJson(text))?.['architectures'];
  const [first] = Array.isArray(architectures) ? (architectures as readonly unknown[]) : [];
  return typeof first === 'string' ? first : undefined;
}
