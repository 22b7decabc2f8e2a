/** outputForm: whether an output is one file, shards with an index, or a whole folder, and the names of its files. Pure. */
import { basename } from 'node:path';
import { EngineError } from '../errors';
import type { ModelSource } from '../safetensors/modelSource';
import { INDEX_SUFFIX, isIndexPath } from '../safetensors/shardIndex';
import { cutPlan, partsOfSize, partsOfSource, type Parts } from './cutPlan';
import type { Plan } from './plan';

export type OutputForm = 'file' | 'shards' | 'folder';

export interface OutputPart {
  /** The name of its file. */
  readonly name: string;
  readonly plan: Plan;
}

export interface OutputParts {
  readonly form: OutputForm;
  readonly parts: readonly OutputPart[];
  readonly cut: Parts;
  /** Absent where the model is one file. */
  readonly indexName?: string;
}

/** By its name: a .safetensors file, an index, else a folder; a single file stays one under any name. */
export function outputForm(output: string, source: Pick<ModelSource, 'kind'>, maxShardBytes: number | undefined): OutputForm {
  if (isIndexPath(output)) return 'shards';
  if (/\.(safetensors|sft)$/i.test(output)) return 'file';
  return source.kind === 'file' && maxShardBytes === undefined ? 'file' : 'folder';
}

/** Throws EngineError InvalidRecipe where shards are asked for and one file is named. */
export function outputParts(plan: Plan, source: ModelSource, output: string, maxShardBytes: number | undefined): OutputParts {
  const form = outputForm(output, source, maxShardBytes);
  if (form === 'file') {
    if (maxShardBytes === undefined) return { form, parts: [{ name: basename(output), plan }], cut: { byTensor: new Map(), count: 1 } };
    throw new EngineError(
      'InvalidRecipe',
      `${output} is one file, and shards are asked for. Name a folder, or an index (*${INDEX_SUFFIX}), as the output.`,
      { path: output },
    );
  }
  const cut = maxShardBytes === undefined ? partsOfSource(plan) : partsOfSize(plan, maxShardBytes);
  const base = form === 'shards' ? stem(output) : stem(source.index?.path ?? source.files[0] ?? 'model');
  const plans = cutPlan(plan, cut);
  const isSharded = plans.length > 1 || form === 'shards';
  const parts = plans.map((part, index) => ({
    name: isSharded ? shardName(base, index, plans.length) : `${base}.safetensors`,
    plan: part,
  }));
  return { form, parts, cut, ...(isSharded ? { indexName: `${base}${INDEX_SUFFIX}` } : {}) };
}

function stem(path: string): string {
  const name = basename(path);
  return isIndexPath(name) ? name.slice(0, -INDEX_SUFFIX.length) : name.replace(/\.(safetensors|sft)$/i, '');
}

function shardName(base: string, index: number, count: number): string {
  const digits = (value: number): string => String(value).padStart(5, '0');
  return `${base}-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}
