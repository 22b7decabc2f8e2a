/** runRequest: shows a plan, runs its job, shows the progress and the report; the same for every command that writes a model. */
import { resolve } from 'node:path';
import { modelSeen, type ModelSeen } from '../../engine/families/modelSeen';
import { planConfigBeside, type ConfigBeside } from '../../engine/job/configFile';
import type { ConvertRequest } from '../../engine/job/convertRequest';
import { EngineError } from '../../engine/errors';
import type { JobEnd, JobEvent } from '../../engine/job/jobEvent';
import { JobOutput } from '../../engine/job/jobOutput';
import { planRequest } from '../../engine/job/planRequest';
import { countActions } from '../../engine/job/reportBuilder';
import { checkReportPath } from '../../engine/job/reportFile';
import { outputParts } from '../../engine/plan/outputForm';
import { modelFamily } from '../../engine/plan/modelFamily';
import type { Plan } from '../../engine/plan/plan';
import { steeringOfPlan } from '../../engine/plan/steering';
import { NOTHING_TO_QUANTIZE } from '../../engine/plan/warnings';
import { EngineClient } from '../../engine/process/engineClient';
import type { Arguments } from '../arguments';
import { EXIT, type CommandContext, type ExitCode } from '../command';
import { commandWords } from '../output/commandWords';
import { errorText } from '../output/errorText';
import { PLAN_LABEL_WIDTH, planText, steeringLines, type PlanSizes } from '../output/planText';
import { ProgressView } from '../output/progress';
import { reportText } from '../output/reportText';
import { printable } from '../output/text';
import { plannedDevice, whyNoDevice } from './plannedDevice';

export interface RunOptions {
  readonly request: ConvertRequest;
  readonly run: 'everything' | 'only plan';
  readonly format: 'text' | 'json';
  readonly detail: 'summary' | 'every tensor';
}

/** What the options `dry-run`, `json` and `verbose` say. */
export function howToRun(given: Arguments): Omit<RunOptions, 'request'> {
  return {
    run: given.has('dry-run') ? 'only plan' : 'everything',
    format: given.has('json') ? 'json' : 'text',
    detail: given.has('verbose') ? 'every tensor' : 'summary',
  };
}

/** Throws EngineError where the request cannot be planned. */
export async function runRequest(options: RunOptions, context: CommandContext): Promise<ExitCode> {
  if (options.run === 'only plan') return showPlan(options, context);
  return options.format === 'json' ? convertToJson(options.request, context) : convertForPeople(options, context);
}

/** What would keep the job from beginning is a warning here: the plan is what was asked for. */
async function showPlan({ request, format, detail }: RunOptions, context: CommandContext): Promise<ExitCode> {
  const { terminal, version } = context;
  const { sizes, model, config, requirePlace, planFor } = await planOf(request, version);
  const plan = await planFor(context);
  const misplaced = await requirePlace().then(
    () => undefined,
    (error: unknown) => `It could not be written: ${EngineError.wrap(error).message}`,
  );
  const warnings = [...plan.warnings, ...configWarnings(config), misplaced, await whyNoDevice(request.device, context)].filter(
    (warning) => warning !== undefined,
  );
  if (format === 'text') {
    const facts = { ...request, ...sizes, model, config, steering: steeringOfPlan(plan) };
    terminal.print(planText({ ...plan, warnings }, facts, detail, terminal.style).trimEnd());
    return EXIT.done;
  }
  const planned: JobEvent = {
    type: 'planned',
    source: request.source,
    output: request.output,
    device: request.device,
    model,
    bytesIn: sizes.bytesIn,
    bytesOut: sizes.bytesOut,
    counts: countActions(plan),
    steering: steeringOfPlan(plan),
  };
  terminal.print(JSON.stringify(planned));
  for (const message of warnings) terminal.print(JSON.stringify({ type: 'warning', message } satisfies JobEvent));
  return EXIT.done;
}

export interface RequestedPlan {
  readonly plan: Plan;
  /** The plan for the device that would do it, which may have to be asked for. */
  readonly planFor: (context: CommandContext) => Promise<Plan>;
  readonly sizes: PlanSizes;
  readonly model: ModelSeen;
  readonly config: ConfigBeside;
  /** Throws EngineError where the output or the report cannot be where it is asked for. */
  readonly requirePlace: () => Promise<void>;
}

export async function planOf(request: ConvertRequest, toolVersion: string): Promise<RequestedPlan> {
  const { source, plan, replan } = await planRequest(request, toolVersion);
  const shape = outputParts(plan, source, request.output, request.maxShardBytes);
  const bytesOut = shape.parts.reduce((sum, part) => sum + part.plan.output.fileSize, 0);
  const absolute = withAbsolutePaths(request);
  const config = shape.form === 'folder' ? NO_CONFIG : await planConfigBeside(plan, source.folder, absolute);
  return {
    plan,
    planFor: async (context) => {
      const device = await plannedDevice(request.device, plan, context);
      return device === 'cpu' ? plan : replan({ device });
    },
    sizes: { bytesIn: source.header.fileSize, bytesOut, filesIn: source.files.length, filesOut: shape.parts.length },
    model: modelSeen(modelFamily(source.header).recognition),
    config,
    requirePlace: async () => {
      await new JobOutput(absolute, source, shape, '').check();
      await checkReportPath(absolute);
    },
  };
}

/** A folder has its own. */
const NO_CONFIG: ConfigBeside = { kind: 'not needed' };

function configWarnings(config: ConfigBeside): readonly string[] {
  return config.kind === 'impossible' ? [config.why] : [];
}

async function convertToJson(request: ConvertRequest, context: CommandContext): Promise<ExitCode> {
  let code: ExitCode = EXIT.error;
  for await (const event of jobOf(request, context)) {
    context.terminal.print(JSON.stringify(event));
    if (event.type === 'done' || event.type === 'failed' || event.type === 'cancelled') code = finish(event, context);
  }
  return code;
}

async function convertForPeople({ request, detail }: RunOptions, context: CommandContext): Promise<ExitCode> {
  const { terminal, version } = context;
  const { style } = terminal;
  const { plan, sizes, model, config, requirePlace, planFor } = await planOf(request, version);
  // Whoever reads a plan and then an error would look for the error in the plan.
  await requirePlace();
  // What steers rounding is told by the job, which knows its device; for the sake of every tensor it is asked for before.
  const planShown = detail === 'summary' ? plan : await planFor(context);
  // The error says the same in a moment.
  const warnings = [...planShown.warnings.filter((text) => !text.startsWith(NOTHING_TO_QUANTIZE)), ...configWarnings(config)];
  terminal.print(planText({ ...planShown, warnings }, { ...request, ...sizes, model, config }, detail, style));
  const progress = new ProgressView(terminal);
  const shown = new Set([...plan.warnings, ...configWarnings(config)]);
  let code: ExitCode = EXIT.error;
  for await (const event of jobOf(request, context)) {
    switch (event.type) {
      case 'planned':
        if (event.steering.length > 0) terminal.print([...steeringLines(event.steering, PLAN_LABEL_WIDTH), ''].join('\n'));
        break;
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
            `${style.warning('warning:')} ${printable(commandWords(event.tensor === undefined ? event.message : `${event.tensor}: ${event.message}`))}`,
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

async function* jobOf(request: ConvertRequest, { engineModule, signal }: CommandContext): AsyncGenerator<JobEvent, void, undefined> {
  const client = new EngineClient({ modulePath: engineModule });
  try {
    yield* client.convert(withAbsolutePaths(request), signal);
  } finally {
    await client.dispose();
  }
}

/** The engine is another process, with another idea of what a relative path is relative to should one of them ever move. */
function withAbsolutePaths(request: ConvertRequest): ConvertRequest {
  const { source, output, reportPath } = request;
  return {
    ...request,
    source: resolve(source),
    output: resolve(output),
    ...(reportPath === undefined ? {} : { reportPath: resolve(reportPath) }),
  };
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
