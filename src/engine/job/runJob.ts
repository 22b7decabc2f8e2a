/** runJob: one conversion from its request to its terminal event. Everything that is written is either committed or removed before that event. */
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { EngineError } from '../errors';
import { makePlan } from '../plan/makePlan';
import type { Plan } from '../plan/plan';
import { calibrationOfRecipe } from '../plan/readCalibrationFile';
import { chooseDevice, type ChosenDevice } from './chooseDevice';
import type { ConvertRequest } from './convertRequest';
import { writeConfig } from './configFile';
import { convertTensors } from './convertTensors';
import type { JobEnd, JobEvent } from './jobEvent';
import { notesOf } from './notes';
import { PartialOutput } from './partialOutput';
import type { Quantizer } from './quantizer';
import { planForDevice, prepareStatistics } from './prepareStatistics';
import { statisticsPathFor } from './propagate';
import { countActions, ReportBuilder } from './reportBuilder';
import { checkReportPath, writeReport } from './reportFile';
import { readSource, requireUnchanged, type SourceFile } from './sourceFile';

export interface JobEnvironment {
  readonly quantizer: Quantizer;
  readonly toolVersion: string;
  /** Part of the names of temporary files, so that whoever chose it can remove them after a crash (see temporaryPathsOf). */
  readonly token: string;
}

const TOOL_NAME = 'fp8-quantizer';

/** Ends with exactly one of `done`, `failed` and `cancelled`, and never throws. Leaving the iteration early stops and cleans up as well. */
export async function* runJob(
  request: ConvertRequest,
  environment: JobEnvironment,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, void, undefined> {
  let end: JobEnd;
  try {
    end = yield* convert(request, environment, signal);
  } catch (error) {
    const failure = EngineError.wrap(error);
    end = signal.aborted || failure.code === 'Cancelled' ? { type: 'cancelled' } : { type: 'failed', error: failure.toJSON() };
  }
  yield end;
}

async function* convert(
  request: ConvertRequest,
  environment: JobEnvironment,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, JobEnd, undefined> {
  const { quantizer, toolVersion, token } = environment;
  const startedAt = performance.now();
  const source = await readSource(request.source);
  const calibration = await calibrationOfRecipe(request.recipe, source.header);
  const wanted = makePlan(source.header, request.recipe, { toolVersion, ...calibration });
  requireSomethingToQuantize(wanted, source);
  const device = await chooseDevice(request.device, quantizer);
  const plan = planForDevice(wanted, device.kind);
  await checkReportPath(request);
  const output = new PartialOutput(request, token);
  const report = new ReportBuilder();
  const statisticsPath = statisticsPathFor(request, token);
  try {
    signal.throwIfAborted();
    await output.begin(plan);
    yield planned(request, plan, device, source);
    for (const message of plan.warnings) yield warning(message, report);
    const plannedAt = performance.now();

    const layerStatistics = yield* prepareStatistics(plan, request, source, calibration.calibration, { quantizer, statisticsPath, signal });
    const preparedAt = performance.now();
    const context = { request, source, device, quantizer, toolVersion, report, output, statistics: layerStatistics };
    const { plan: finalPlan, statistics } = yield* convertTensors(plan, context, signal);
    await requireUnchanged(source);
    const convertedAt = performance.now();

    await output.commit(signal);
    const missing = await writeConfig(finalPlan, request, token);
    if (missing !== undefined) yield warning(missing, report);
    const finishedAt = performance.now();
    const jobReport = report.build(finalPlan, {
      tool: { name: TOOL_NAME, version: toolVersion },
      source: request.source,
      output: request.output,
      notes: notesOf(finalPlan),
      bytesIn: source.header.fileSize,
      device: device.id,
      deviceName: device.name,
      threads: request.threads === 0 ? availableParallelism() : request.threads,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      ...statistics,
      seconds: {
        plan: (plannedAt - startedAt) / 1000,
        ...(layerStatistics.sources.propagated.size === 0 ? {} : { statistics: (preparedAt - plannedAt) / 1000 }),
        convert: (convertedAt - preparedAt) / 1000,
        finish: (finishedAt - convertedAt) / 1000,
        total: (finishedAt - startedAt) / 1000,
      },
    });
    try {
      await writeReport(jobReport, request, token);
    } catch (error) {
      // The model is complete and stays: only its report is missing.
      yield { type: 'warning', message: `The report could not be written: ${EngineError.wrap(error).message}` };
    }
    return { type: 'done', report: jobReport };
  } finally {
    await output.discard();
    await rm(statisticsPath, { force: true });
  }
}

function planned(request: ConvertRequest, plan: Plan, device: ChosenDevice, source: SourceFile): JobEvent {
  return {
    type: 'planned',
    source: request.source,
    output: request.output,
    device: device.id,
    bytesIn: source.header.fileSize,
    bytesOut: plan.output.fileSize,
    counts: countActions(plan),
  };
}

function warning(message: string, report: ReportBuilder): JobEvent {
  report.warn(message);
  return { type: 'warning', message };
}

function requireSomethingToQuantize(plan: Plan, { path }: SourceFile): void {
  if (plan.tensors.some(({ action }) => action === 'quantize')) return;
  const why = plan.warnings.find((message) => message.startsWith('Nothing to quantize')) ?? 'Nothing to quantize: it has no tensors.';
  throw new EngineError('NothingToQuantize', `${path}: ${why}`, { path });
}
