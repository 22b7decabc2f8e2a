/** `fp8 migrate`: a quantized model in another layout, with the same codes. */
import { storedOutputPath } from '../../engine/plan/outputPath';
import { LAYOUTS } from '../../engine/plan/recipe';
import { Arguments } from '../arguments';
import type { CommandContext, ExitCode } from '../command';
import { MIGRATE_OPTIONS } from '../options';
import { readLayout } from '../encodingOptions';
import { outputOf } from '../outputOf';
import { singleFile } from '../singleFile';
import { UsageError } from '../usageError';
import { howToRun, runRequest } from './runRequest';
import { storedRequest } from './storedRequest';

/** Throws UsageError and EngineError. */
export async function migrate(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, MIGRATE_OPTIONS);
  const source = singleFile(given, 'migrate');
  const layout = readLayout(given, 'to');
  if (layout === undefined) throw new UsageError(`to which layout? fp8 migrate ${source} --to ${LAYOUTS.join('|')}`);
  const output = await outputOf(given, source, (kind) => storedOutputPath(source, layout, kind));
  const request = { ...storedRequest(given, source, output), work: { kind: 'migrate', layout } } as const;
  return runRequest({ request, ...howToRun(given) }, context);
}
