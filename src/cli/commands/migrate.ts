/** `fp8 migrate`: a quantized model in another layout, with the same codes. */
import { storedOutputPath } from '../../engine/plan/outputPath';
import { LAYOUTS } from '../../engine/plan/recipe';
import { sourceKind } from '../../engine/safetensors/modelSource';
import { Arguments } from '../arguments';
import type { CommandContext, ExitCode } from '../command';
import { MIGRATE_OPTIONS } from '../options';
import { singleFile } from '../singleFile';
import { UsageError } from '../usageError';
import { howToRun, runRequest } from './runRequest';
import { storedRequest } from './storedRequest';

/** Throws UsageError and EngineError. */
export async function migrate(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, MIGRATE_OPTIONS);
  const source = singleFile(given, 'migrate');
  const layout = given.choice('to', LAYOUTS);
  if (layout === undefined) throw new UsageError(`to which layout? fp8 migrate ${source} --to ${LAYOUTS.join('|')}`);
  const output = given.text('output') ?? storedOutputPath(source, layout, await sourceKind(source));
  const request = { ...storedRequest(given, source, output), work: { kind: 'migrate', layout } } as const;
  return runRequest({ request, ...howToRun(given) }, context);
}
