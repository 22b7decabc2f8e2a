/** `fp8 convert`: reads what is asked for, and runs it. */
import { defaultOutputPath } from '../../engine/plan/outputPath';
import { quantizationConfig } from '../../engine/plan/quantizationConfig';
import type { ConvertRequest } from '../../engine/job/convertRequest';
import { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { CONVERT_OPTIONS } from '../options';
import { readDevice, readMaxShardBytes, readRecipe, readThreads } from '../recipeOptions';
import { outputOf } from '../outputOf';
import { singleFile } from '../singleFile';
import { howToRun, planOf, runRequest } from './runRequest';

/** Throws UsageError and EngineError. */
export async function convert(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const given = Arguments.parse(words, CONVERT_OPTIONS);
  const source = singleFile(given, 'convert');
  const recipe = await readRecipe(given);
  const reportPath = given.text('report');
  const maxShardBytes = readMaxShardBytes(given);
  const request: ConvertRequest = {
    source,
    output: await outputOf(given, source, (kind) => defaultOutputPath(source, recipe, kind)),
    ...(maxShardBytes === undefined ? {} : { maxShardBytes }),
    recipe,
    device: readDevice(given),
    threads: readThreads(given),
    overwrite: given.has('force') ? 'replace' : 'refuse',
    ...(reportPath === undefined ? {} : { reportPath }),
  };
  return given.has('print_config') ? showConfig(request, context) : runRequest({ request, ...howToRun(given) }, context);
}

async function showConfig(request: ConvertRequest, { terminal, version }: CommandContext): Promise<ExitCode> {
  const { plan } = await planOf(request, version);
  const config = quantizationConfig(plan);
  if (config === undefined) {
    terminal.tell(`fp8: nothing to print: loaders of the layout ${request.recipe.layout} read no quantization_config.`);
    return EXIT.error;
  }
  terminal.print(JSON.stringify({ quantization_config: config }, undefined, 2));
  return EXIT.done;
}
