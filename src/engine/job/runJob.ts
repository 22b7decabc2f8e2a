/** runJob: one conversion from its request to its terminal event. Everything that is written is either committed or removed before that event. */
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { EngineError } from '../errors';
import { modelSeen } from '../families/modelSeen';
import { cutPlan } from '../plan/cutPlan';
import { outputParts } from '../plan/outputForm';
import { modelFamily } from '../plan/modelFamily';
import type { Plan } from '../plan/plan';
import { steeringOfPlan } from '../plan/steering';
import { NOTHING_TO_QUANTIZE } from '../plan/warnings';
import { planRequest, type LaterKnown } from './planRequest';
import type { ModelSource } from '../safetensors/modelSource';
import { carriedFiles, carriedNotes, type Carried } from './carriedFiles';
import { checkCalibration } from './checkCalibration';
import { chooseDevice, type ChosenDevice } from './chooseDevice';
import type { ConvertRequest } from './convertRequest';
import { configNote, configWithin, writeConfigBeside } from './configFile';
import { convertTensors, meterOf, type ConvertedTensors } from './convertTensors';
import type { JobEnd, JobEvent } from './jobEvent';
import { JobOutput } from './jobOutput';
import { fallbackNotes, notesOf } from './notes';
import type { Quantizer } from './quantizer';
import { prepareStatistics } from './prepareStatistics';
import { statisticsPathFor } from './propagate';
import { countActions, ReportBuilder } from './reportBuilder';
import { checkReportPath, writeReport } from './reportFile';
import { requireUnchanged } from './sourceUnchanged';

export interface JobEnvironment {
  readonly quantizer: Quantizer;
  readonly toolVersion: string;
  /** Part of the names of temporary files, so that whoever chose it can remove them after a crash (see temporaryPathsOf). */
  readonly token: string;
}

const TOOL_NAME = 'fp8-quantizer';
const NOTHING_CARRIED: Carried = { files: [], left: [] };

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
  const asked = await planRequest(request, toolVersion);
  const { source } = asked;
  if (request.work === undefined) requireSomethingToQuantize(asked.plan, source);
  const device = await chooseDevice(request.device, quantizer);
  await checkReportPath(request);
  const { threads } = request;
  const checked =
    asked.calibration === undefined ? undefined : await checkCalibration(asked.plan, asked.calibration, { quantizer, threads, signal });
  let known: LaterKnown = { device: device.kind, ...(checked === undefined ? {} : { calibration: checked.calibration }) };
  let plan = device.kind === 'cpu' && checked === undefined ? asked.plan : asked.replan(known);
  let shape = outputParts(plan, source, request.output, request.maxShardBytes);
  const carried = shape.form === 'folder' && source.kind !== 'file' ? await carriedFiles(source) : NOTHING_CARRIED;
  let output = new JobOutput(request, source, shape, token);
  const report = new ReportBuilder();
  const statisticsPath = statisticsPathFor(request, token);
  try {
    signal.throwIfAborted();
    await output.begin();
    yield planned(request, plan, bytesOf(shape.parts.map((part) => part.plan)), device, source);
    for (const message of [...plan.warnings, ...(checked?.warnings ?? [])]) yield warning(message, report);
    const plannedAt = performance.now();

    const using = { quantizer, device: device.id, statisticsPath, signal };
    const layerStatistics = yield* prepareStatistics(plan, request, source, checked?.calibration, using);
    if (layerStatistics.lostSignals.size > 0) {
      known = { ...known, lostSignals: layerStatistics.lostSignals };
      plan = asked.replan(known);
      shape = outputParts(plan, source, request.output, request.maxShardBytes);
      await output.discard();
      output = new JobOutput(request, source, shape, token);
      await output.begin();
    }
    const preparedAt = performance.now();
    const keptAnyway = new Map<string, string>();
    let finalPlan = plan;
    const plans = shape.parts.map((part) => part.plan);
    const finalPlans: Plan[] = [];
    const { cut } = shape;
    const replanned = (part: number) => (reasons: ReadonlyMap<string, string>) => {
      for (const [name, reason] of reasons) keptAnyway.set(name, reason);
      finalPlan = asked.replan({ ...known, keepAnyway: keptAnyway });
      requireFiniteTensors(finalPlan, source);
      const [own] = cutPlan(finalPlan, cut).slice(part);
      if (own === undefined) throw new EngineError('Internal', `part ${part} of the output is gone`);
      return own;
    };
    const meter = meterOf(plans, device, layerStatistics.sources);
    const common = { request, source, device, quantizer, report, meter, statistics: layerStatistics };
    const { peakDeviceMemoryBytes } = layerStatistics;
    let statistics = addStatistics({ peakDeviceMemoryBytes }, {});
    let firstTask = 0;
    for (const [part, partPlan] of plans.entries()) {
      const context = { ...common, firstTask, output: await output.part(part), replan: replanned(part) };
      const converted = yield* convertTensors(partPlan, context, signal);
      finalPlans.push(converted.plan);
      statistics = addStatistics(statistics, converted.statistics);
      firstTask += partPlan.tensors.length;
      if (part + 1 < plans.length) await output.commitPart(part, signal);
    }
    await requireUnchanged(source);
    const convertedAt = performance.now();

    await output.commitPart(plans.length - 1, signal);
    const isFolder = shape.form === 'folder';
    const along = isFolder ? await configWithin(finalPlan, source.folder, carried.files) : carried.files;
    await output.commit(finalPlans, along, signal);
    const config = isFolder ? undefined : await writeConfigBeside(finalPlan, source.folder, request, token);
    if (config?.kind === 'impossible') yield warning(config.why, report);
    const configWritten = config === undefined ? undefined : configNote(config);
    const finishedAt = performance.now();
    const jobReport = report.build(finalPlan, {
      tool: { name: TOOL_NAME, version: toolVersion },
      source: request.source,
      output: request.output,
      model: modelSeen(modelFamily(source.header).recognition),
      notes: [
        ...notesOf(finalPlan, checked?.calibration),
        ...fallbackNotes(report.tensors),
        ...carriedNotes(carried),
        ...(configWritten === undefined ? [] : [configWritten]),
      ],
      bytesIn: source.header.fileSize,
      bytesOut: bytesOf(finalPlans),
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

function bytesOf(plans: readonly Plan[]): number {
  return plans.reduce((sum, { output }) => sum + output.fileSize, 0);
}

/** Of parts that ran one after the other. */
function addStatistics(a: ConvertedTensors['statistics'], b: ConvertedTensors['statistics']): ConvertedTensors['statistics'] {
  const peak = Math.max(a.peakDeviceMemoryBytes ?? 0, b.peakDeviceMemoryBytes ?? 0);
  const busy = (a.deviceBusySeconds ?? 0) + (b.deviceBusySeconds ?? 0);
  return { ...(peak === 0 ? {} : { peakDeviceMemoryBytes: peak }), ...(busy === 0 ? {} : { deviceBusySeconds: busy }) };
}

function requireFiniteTensors(plan: Plan, { path }: ModelSource): void {
  if (plan.tensors.some(({ action }) => action === 'quantize')) return;
  throw new EngineError(
    'NothingToQuantize',
    `${path}: every tensor that could be quantized has NaN or infinite values. Check how the model was saved.`,
    { path },
  );
}

function planned(request: ConvertRequest, plan: Plan, bytesOut: number, device: ChosenDevice, source: ModelSource): JobEvent {
  return {
    type: 'planned',
    source: request.source,
    output: request.output,
    device: device.id,
    model: modelSeen(modelFamily(source.header).recognition),
    bytesIn: source.header.fileSize,
    bytesOut,
    counts: countActions(plan),
    steering: steeringOfPlan(plan),
  };
}

function warning(message: string, report: ReportBuilder): JobEvent {
  report.warn(message);
  return { type: 'warning', message };
}

function requireSomethingToQuantize(plan: Plan, { path }: ModelSource): void {
  if (plan.tensors.some(({ action }) => action === 'quantize')) return;
  const why = plan.warnings.find((message) => message.startsWith(NOTHING_TO_QUANTIZE)) ?? `${NOTHING_TO_QUANTIZE}: it has no tensors.`;
  throw new EngineError('NothingToQuantize', `${path}: ${why}`, { path });
}
