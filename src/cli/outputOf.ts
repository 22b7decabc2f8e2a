/** outputOf: the output that a command names, or the one that it has without a name. */
import { basename, extname, join } from 'node:path';
import { outputForm } from '../engine/plan/outputForm';
import { sourceKind, type ModelSource } from '../engine/safetensors/modelSource';
import type { Arguments } from './arguments';
import { readMaxShardBytes } from './recipeOptions';
import { UsageError } from './usageError';

/** A single file may be sent into a folder, which then has to be there. Throws UsageError; EngineError where there is no such source. */
export async function outputOf(given: Arguments, source: string, defaultFor: (kind: ModelSource['kind']) => string): Promise<string> {
  const named = given.text('output');
  const kind = await sourceKind(source);
  if (named === undefined) return defaultFor(kind);
  if (outputForm(named, { kind }, readMaxShardBytes(given)) !== 'file') return named;
  if (/[/\\]$/.test(named)) return join(named, basename(defaultFor(kind)));
  const extension = extname(named);
  if (/^\.(safetensors|sft)$/i.test(extension)) return named;
  if (!/^\.[a-z]/i.test(extension))
    throw new UsageError(`--output "${named}" has no ending: add .safetensors, or / for a folder that is there`);
  throw new UsageError(`--output names a ${extension} file, and what is written is .safetensors; it is "${named}"`);
}
