/** convertTensors: runs a plan's tasks and folds what the quantizer tells into job events and the report. */
import { formatInteger } from '../../base/format';
import { EngineError } from '../errors';
import { makePlan } from '../plan/makePlan';
import type { Plan, PlannedTensor } from '../plan/plan';
import type { ChosenDevice } from './chooseDevice';
import type { ConvertRequest } from './convertRequest';
import { secondsOf, workOf } from './estimate';
import type { JobEvent } from './jobEvent';
import type { PartialOutput } from './partialOutput';
import { ProgressMeter, type MeteredTask } from './progressMeter';
import type { Quantizer, QuantizerEvent } from './quantizer';
import type { ReportBuilder } from './reportBuilder';
import { rewriteTasks } from './rewrite';
import { scheduleTasks } from './schedule';
import { requireUnchanged, type SourceFile } from './sourceFile';
import type { StatisticsSources } from './statisticsTerms';

export interface ConversionContext {
  readonly request: ConvertRequest;
  readonly source: SourceFile;
  readonly device: ChosenDevice;
  readonly quantizer: Quantizer;
  readonly toolVersion: string;
  readonly report: ReportBuilder;
  readonly output: PartialOutput;
  /** Files that tasks read besides the source, from index 1 on, and what is in them. */
  readonly statistics: { readonly files: readonly string[]; readonly sources: StatisticsSources };
}

export interface ConvertedTensors {
  /** The plan that the output follows: another one than given where tensors had to be kept after all. */
  readonly plan: Plan;
  readonly statistics: DeviceStatistics;
}

type Finished = Extract<QuantizerEvent, { readonly type: 'finished' }>;
type DeviceStatistics = Omit<Finished, 'type'>;

const PROGRESS_INTERVAL_SECONDS = 0.1;

/** The output was begun with `plan`; on return every byte of it is written. Throws EngineError. */
export async function* convertTensors(
  plan: Plan,
  context: ConversionContext,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, ConvertedTensors, undefined> {
  const { request, source, device, quantizer, report, output } = context;
  const tasks = scheduleTasks(plan, context.statistics.sources);
  const work = (tensor: PlannedTensor): number => secondsOf(workOf(tensor, plan.recipe), device.kind);
  const meter = new ProgressMeter(
    new Map(
      tasks.map(({ id, name, source: range }): [number, MeteredTask] => [
        id,
        { name, work: work(tensorOf(plan, id)), bytes: range.length },
      ]),
    ),
  );
  const tasked = new Set(tasks.map(({ id }) => id));
  for (const [id, tensor] of plan.tensors.entries()) {
    if (tensor.action === 'remove') yield { type: 'tensorFinished', tensor: report.removed(tensor) };
    else if (!tasked.has(id)) yield { type: 'tensorFinished', tensor: report.kept(tensor, 0) };
  }

  const nonFinite = new Map<string, string>();
  let statistics: DeviceStatistics = {};
  let lastProgress = -Infinity;
  const job = {
    files: [request.source, ...context.statistics.files],
    output: output.path,
    tasks,
    device: device.id,
    threads: request.threads,
  };
  for await (const event of quantizer.run(job, signal)) {
    switch (event.type) {
      case 'started':
        meter.started(event.id);
        yield { type: 'tensorStarted', name: tensorOf(plan, event.id).source.name };
        break;
      case 'progress':
        meter.advanced(event.id, event.fraction);
        break;
      case 'copied':
        meter.finished(event.id);
        yield { type: 'tensorFinished', tensor: report.kept(tensorOf(plan, event.id), event.seconds) };
        break;
      case 'quantized':
        meter.finished(event.id);
        yield { type: 'tensorFinished', tensor: report.quantized(tensorOf(plan, event.id), event) };
        break;
      case 'nonFinite': {
        const tensor = tensorOf(plan, event.id);
        const values = event.count === 1 ? 'one value' : `${formatInteger(event.count)} values`;
        nonFinite.set(tensor.source.name, `NaN or infinity: ${values} that FP8 cannot hold.`);
        meter.finished(event.id);
        if (nonFinite.size === 1) meter.extend(rewritingSeconds(plan));
        yield warning(`NaN or infinity in ${values}, so the tensor is kept in ${tensor.source.dtype}.`, tensor, report);
        break;
      }
      case 'note':
        yield warning(event.message, tensorOf(plan, event.id), report);
        break;
      case 'finished':
        statistics = statisticsOf(event);
        break;
      case 'compared':
      case 'inspected':
        throw new EngineError('Internal', 'the quantizer compared where it should convert');
    }
    const now = performance.now() / 1000;
    if (now - lastProgress >= PROGRESS_INTERVAL_SECONDS) {
      lastProgress = now;
      yield meter.snapshot();
      // Rather now than at the end of a long job.
      await requireUnchanged(source);
    }
  }
  if (nonFinite.size === 0) {
    yield meter.snapshot();
    return { plan, statistics };
  }
  return { plan: yield* keepAfterAll(plan, nonFinite, context, signal), statistics };
}

/** Lays the output out anew with the named tensors kept, and moves into it what is computed already. */
async function* keepAfterAll(
  plan: Plan,
  reasons: ReadonlyMap<string, string>,
  context: ConversionContext,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, Plan, undefined> {
  const { request, source, quantizer, toolVersion, report, output } = context;
  const { calibration } = context.statistics.sources.calibration ?? {};
  const keepAnyway = { toolVersion, keepAnyway: reasons, ...(calibration === undefined ? {} : { calibration }) };
  const newPlan = makePlan(source.header, plan.recipe, keepAnyway);
  if (!newPlan.tensors.some(({ action }) => action === 'quantize')) {
    throw new EngineError(
      'NothingToQuantize',
      `${source.path}: every tensor that could be quantized has NaN or infinite values. Check how the model was saved.`,
      { path: source.path },
    );
  }
  yield { type: 'log', message: `laying the output out anew: ${formatInteger(reasons.size)} of its tensors cannot be FP8` };
  const firstPath = output.path;
  await output.begin(newPlan);
  const tasks = rewriteTasks(plan, newPlan);
  const job = { files: [request.source, firstPath], output: output.path, tasks, device: 'cpu', threads: request.threads };
  const kept = new Map(newPlan.tensors.filter(({ source: { name } }) => reasons.has(name)).map((tensor) => [tensor.source.name, tensor]));
  for await (const event of quantizer.run(job, signal)) {
    if (event.type !== 'copied') continue;
    const tensor = kept.get(newPlan.output.tensors[event.id]?.name ?? '');
    if (tensor !== undefined) yield { type: 'tensorFinished', tensor: report.kept(tensor, event.seconds) };
  }
  return newPlan;
}

function warning(message: string, { source: { name } }: PlannedTensor, report: ReportBuilder): JobEvent {
  report.warn(`${name}: ${message}`);
  return { type: 'warning', message, tensor: name };
}

function statisticsOf({ peakDeviceMemoryBytes, deviceBusySeconds }: Finished): DeviceStatistics {
  return {
    ...(peakDeviceMemoryBytes === undefined ? {} : { peakDeviceMemoryBytes }),
    ...(deviceBusySeconds === undefined ? {} : { deviceBusySeconds }),
  };
}

function rewritingSeconds(plan: Plan): number {
  return secondsOf({ bytes: 2 * plan.output.fileSize, multiplyAdds: 0 }, 'cpu');
}

function tensorOf(plan: Plan, id: number): PlannedTensor {
  const tensor = plan.tensors[id];
  if (tensor === undefined) throw new EngineError('Internal', `the quantizer told of task ${id}, which the job does not have`);
  return tensor;
}
