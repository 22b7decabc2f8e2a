/** `fp8 convert`: shows the plan, runs the job, shows its progress and its report. */
import { resolve } from 'node:path';
import type { JobEnd, JobEvent } from '../../engine/job/jobEvent';
import { makePlan } from '../../engine/plan/makePlan';
import { outputParts } from '../../engine/plan/outputForm';
import { defaultOutputPath } from '../../engine/plan/outputPath';
import type { Plan } from '../../engine/plan/plan';
import { calibrationOfRecipe } from '../../engine/plan/readCalibrationFile';
import { quantizationConfig } from '../../engine/plan/quantizationConfig';
import type { ConvertRequest } from '../../engine/job/convertRequest';
import { EngineClient } from '../../engine/process/engineClient';
import { countActions } from '../../engine/job/reportBuilder';
import { readModelSource, sourceKind } from '../../engine/safetensors/modelSource';
import { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { CONVERT_OPTIONS } from '../options';
import { errorText } from '../output/errorText';
import { planText, type PlanSizes } from '../output/planText';
import { ProgressView } from '../output/progress';
import { reportText } from '../output/reportText';
import { printable } from '../output/text';
import { readDevice, readMaxShardBytes, readRecipe, readThreads } from '../recipeOptions';
import { singleFile } from '../singleFile';

interface ConvertOptions {
  readonly request: ConvertRequest;
  readonly run: 'convert' | 'only plan' | 'only config';
  readonly format: 'text' | 'json';
  readonly detail: 'summary' | 'every tensor';
}

export async function convert(words: readonly string[], context: CommandContext): Promise<ExitCode> {
  const options = await readOptions(words);
  if (options.run === 'only plan') return showPlan(options, context);
  if (options.run === 'only config') return showConfig(options, context);
  return options.format === 'json' ? convertToJson(options.request, context) : convertForPeople(options, context);
}

/** Throws UsageError and EngineError. */
async function readOptions(words: readonly string[]): Promise<ConvertOptions> {
  const given = Arguments.parse(words, CONVERT_OPTIONS);
  const source = singleFile(given, 'convert', given.text('input'));
  const recipe = await readRecipe(given);
  const reportPath = given.text('report');
  const maxShardBytes = readMaxShardBytes(given);
  return {
    request: {
      source,
      output: given.text('output') ?? defaultOutputPath(source, recipe, await sourceKind(source)),
      ...(maxShardBytes === undefined ? {} : { maxShardBytes }),
      recipe,
      device: readDevice(given),
      threads: readThreads(given),
      overwrite: given.has('force') ? 'replace' : 'refuse',
      ...(reportPath === undefined ? {} : { reportPath }),
    },
    run: given.has('print_config') ? 'only config' : given.has('dry-run') ? 'only plan' : 'convert',
    format: given.has('json') ? 'json' : 'text',
    detail: given.has('verbose') ? 'every tensor' : 'summary',
  };
}

async function showPlan({ request, format, detail }: ConvertOptions, { terminal, version }: CommandContext): Promise<ExitCode> {
  const { plan, ...sizes } = await planOf(request, version);
  if (format === 'text') {
    terminal.print(planText(plan, { ...request, ...sizes }, detail, terminal.style).trimEnd());
    return EXIT.done;
  }
  const planned: JobEvent = {
    type: 'planned',
    source: request.source,
    output: request.output,
    device: request.device,
    bytesIn: sizes.bytesIn,
    bytesOut: sizes.bytesOut,
    counts: countActions(plan),
  };
  terminal.print(JSON.stringify(planned));
  for (const message of plan.warnings) terminal.print(JSON.stringify({ type: 'warning', message } satisfies JobEvent));
  return EXIT.done;
}

async function showConfig({ request }: ConvertOptions, { terminal, version }: CommandContext): Promise<ExitCode> {
  const { plan } = await planOf(request, version);
  const config = quantizationConfig(plan);
  if (config === undefined) {
    terminal.tell(`fp8: nothing to print: loaders of the layout ${request.recipe.layout} read no quantization_config.`);
    return EXIT.error;
  }
  terminal.print(JSON.stringify({ quantization_config: config }, undefined, 2));
  return EXIT.done;
}

async function planOf(request: ConvertRequest, toolVersion: string): Promise<{ readonly plan: Plan } & PlanSizes> {
  const source = await readModelSource(request.source);
  const { header } = source;
  const calibration = await calibrationOfRecipe(request.recipe, header);
  const plan = makePlan(header, request.recipe, { toolVersion, ...calibration });
  const { parts } = outputParts(plan, source, request.output, request.maxShardBytes);
  const bytesOut = parts.reduce((sum, part) => sum + part.plan.output.fileSize, 0);
  return { plan, bytesIn: header.fileSize, bytesOut, filesIn: source.files.length, filesOut: parts.length };
}

async function convertToJson(request: ConvertRequest, context: CommandContext): Promise<ExitCode> {
  let code: ExitCode = EXIT.error;
  for await (const event of jobOf(request, context)) {
    context.terminal.print(JSON.stringify(event));
    if (event.type === 'done' || event.type === 'failed' || event.type === 'cancelled') code = finish(event, context);
  }
  return code;
}

async function convertForPeople({ request, detail }: ConvertOptions, context: CommandContext): Promise<ExitCode> {
  const { terminal, version } = context;
  const { style } = terminal;
  const { plan, ...sizes } = await planOf(request, version);
  terminal.print(planText(plan, { ...request, ...sizes }, detail, style));
  const progress = new ProgressView(terminal);
  const shown = new Set(plan.warnings);
  let code: ExitCode = EXIT.error;
  for await (const event of jobOf(request, context)) {
    switch (event.type) {
      case 'planned':
      case 'tensorStarted':
      case 'tensorFinished':
        break;
      case 'progress':
        progress.show(event);
        break;
      case 'warning':
        // The plan's own are part of the plan that is shown already.
        if (!shown.has(event.message)) {
          progress.tell(
            `${style.warning('warning:')} ${printable(event.tensor === undefined ? event.message : `${event.tensor}: ${event.message}`)}`,
          );
        }
        break;
      case 'log':
        if (detail === 'every tensor') progress.tell(printable(event.message));
        break;
      case 'done':
        progress.clear();
        terminal.print(reportText(event.report, request.reportPath, detail, style));
        code = finish(event, context);
        break;
      case 'failed':
      case 'cancelled':
        progress.clear();
        code = finish(event, context);
        break;
    }
  }
  return code;
}

/** The engine is another process, with another idea of what a relative path is relative to should one of them ever move. */
async function* jobOf(request: ConvertRequest, { engineModule, signal }: CommandContext): AsyncGenerator<JobEvent, void, undefined> {
  const client = new EngineClient({ modulePath: engineModule });
  const { reportPath } = request;
  const absolute: ConvertRequest = {
    ...request,
    source: resolve(request.source),
    output: resolve(request.output),
    ...(reportPath === undefined ? {} : { reportPath: resolve(reportPath) }),
  };
  try {
    yield* client.convert(absolute, signal);
  } finally {
    await client.dispose();
  }
}

function finish(end: JobEnd, { terminal }: CommandContext): ExitCode {
  switch (end.type) {
    case 'done':
      return EXIT.done;
    case 'failed':
      terminal.tell(errorText(end.error));
      return EXIT.error;
    case 'cancelled':
      terminal.tell('fp8: cancelled; nothing was written.');
      return EXIT.cancelled;
  }
}
