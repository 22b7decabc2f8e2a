/** `fp8 dequantize`: a quantized model as numbers again. */
import type { SourceDtype } from '../../engine/dtype';
import { storedOutputPath } from '../../engine/plan/outputPath';
import { Arguments } from '../arguments';
import type { CommandContext, ExitCode } from '../command';
import { DEQUANTIZE_OPTIONS } from '../options';
import { outputOf } from '../outputOf';
import { singleFile } from '../singleFile';
import { howToRun, runRequest } from './runRequest';
import { storedRequest } from './storedRequest';

const DTYPES = ['bf16', 'f16', 'f32'] as const;
const BY_NAME: Readonly<Record<(typeof DTYPES)[number], SourceDtype>> = { bf16: 'BF16', f16: 'F16', f32: 'F32' };

/** Throws UsageError and EngineError. */
export async function dequantize(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, DEQUANTIZE_OPTIONS);
  const source = singleFile(given, 'dequantize');
  const name = given.choice('dtype', DTYPES) ?? 'bf16';
  const output = await outputOf(given, source, (kind) => storedOutputPath(source, name, kind));
  const request = { ...storedRequest(given, source, output), work: { kind: 'dequantize', dtype: BY_NAME[name] } } as const;
  return runRequest({ request, ...howToRun(given) }, context);
}
