/** convertTensors: runs a plan's tasks and folds what the quantizer tells into job events and the report. */
import { formatInteger } from '../../base/format';
import { EngineError } from '../errors';
import type { Plan, PlannedTensor } from '../plan/plan';
import type { ModelSource } from '../safetensors/modelSource';
import type { ChosenDevice } from './chooseDevice';
import type { ConvertRequest } from './convertRequest';
import { correctBiases } from './correctBiases';
import { secondsOf, workOf } from './estimate';
import type { JobEvent } from './jobEvent';
import type { PartialOutput } from './partialOutput';
import { ProgressMeter, type MeteredTask } from './progressMeter';
import type { QuantizedResult, Quantizer, QuantizerEvent } from './quantizer';
import type { ReportBuilder } from './reportBuilder';
import { rewriteTasks } from './rewrite';
import { placeOf, scheduleTasks } from './schedule';
import { requireUnchanged } from './sourceUnchanged';
import { UntoldSets } from './untoldSets';
import type { StatisticsSources } from './statisticsTerms';

export interface ConversionContext {
  readonly request: ConvertRequest;
  readonly source: ModelSource;
  readonly device: ChosenDevice;
  readonly quantizer: Quantizer;
  readonly report: ReportBuilder;
  readonly output: PartialOutput;
  /** The same plan, with these tensors kept for these reasons. Throws EngineError where nothing is left to quantize. */
  readonly replan: (keepAnyway: ReadonlyMap<string, string>) => Plan;
  /** Of all parts of the job; this one's tasks are counted from `firstTask` on. */
  readonly meter: ProgressMeter;
  readonly firstTask: number;
  /** Files that tasks read besides the source's, and what is in them. */
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

/** Measures all parts of a job together. The tasks of each are counted from where those of the one before ended. */
export function meterOf(plans: readonly Plan[], device: ChosenDevice, sources: StatisticsSources): ProgressMeter {
  const tasks = new Map<number, MeteredTask>();
  let first = 0;
  for (const plan of plans) {
    for (const task of scheduleTasks(plan, sources)) {
      const work = secondsOf(workOf(tensorOf(plan, task.id), plan.recipe), device.kind);
      tasks.set(first + task.id, { name: task.name, work, bytes: placeOf(task).length });
    }
    first += plan.tensors.length;
  }
  return new ProgressMeter(tasks);
}

/** The output was begun with `plan`; on return every byte of it is written. Throws EngineError. */
export async function* convertTensors(
  plan: Plan,
  context: ConversionContext,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, ConvertedTensors, undefined> {
  const { request, source, device, quantizer, report, output, meter, firstTask } = context;
  const tasks = scheduleTasks(plan, context.statistics.sources);
  const tasked = new Set(tasks.map(({ id }) => id));
  for (const [id, tensor] of plan.tensors.entries()) {
    if (tensor.action === 'remove') yield { type: 'tensorFinished', tensor: report.removed(tensor) };
    else if (!tasked.has(id)) yield { type: 'tensorFinished', tensor: report.kept(tensor, 0) };
  }

  const nonFinite = new Map<string, string>();
  const untold = new UntoldSets(plan);
  let statistics: DeviceStatistics = {};
  let lastProgress = -Infinity;
  const job = {
    files: [...source.files, ...context.statistics.files],
    output: output.path,
    tasks,
    device: device.id,
    threads: request.threads,
  };
  for await (const event of quantizer.run(job, signal)) {
    switch (event.type) {
      case 'started':
        meter.started(firstTask + event.id);
        yield { type: 'tensorStarted', name: tensorOf(plan, event.id).source.name };
        break;
      case 'progress':
        meter.advanced(firstTask + event.id, event.fraction);
        break;
      case 'copied':
        meter.finished(firstTask + event.id);
        yield { type: 'tensorFinished', tensor: report.kept(tensorOf(plan, event.id), event.seconds) };
        break;
      case 'quantized':
        meter.finished(firstTask + event.id);
        if (event.objectiveNearest !== undefined && !(event.objectiveNearest >= 0)) {
          yield warning('Its objective is no number to judge by, so it is rounded to nearest.', tensorOf(plan, event.id), report);
        }
        for (const tensor of untold.quantized(report.quantized(tensorOf(plan, event.id), judged(event))))
          yield { type: 'tensorFinished', tensor };
        break;
      case 'nonFinite': {
        const tensor = tensorOf(plan, event.id);
        const values = event.count === 1 ? 'one value' : `${formatInteger(event.count)} values`;
        untold.keep(tensor.source.name);
        nonFinite.set(tensor.source.name, `NaN or infinity: ${values} that FP8 cannot hold.`);
        meter.finished(firstTask + event.id);
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
      case 'checked':
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
    yield* correctBiases(plan, context, signal);
    yield meter.snapshot();
    return { plan, statistics };
  }
  const kept = yield* keepAfterAll(plan, nonFinite, context, signal);
  yield* correctBiases(kept, context, signal);
  return { plan: kept, statistics };
}

/** Lays the output out anew with the named tensors kept, and moves into it what is computed already. */
async function* keepAfterAll(
  plan: Plan,
  reasons: ReadonlyMap<string, string>,
  context: ConversionContext,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, Plan, undefined> {
  const { request, source, quantizer, replan, report, output } = context;
  const newPlan = replan(reasons);
  yield { type: 'log', message: `laying the output out anew: ${formatInteger(reasons.size)} of its tensors cannot be FP8` };
  const firstPath = output.path;
  await output.begin(newPlan);
  const tasks = rewriteTasks(plan, newPlan, source.files.length);
  const job = { files: [...source.files, firstPath], output: output.path, tasks, device: 'cpu', threads: request.threads };
  // Also those that had to follow the named ones.
  const before = new Set(plan.tensors.flatMap(({ action, source: { name } }) => (action === 'quantize' ? [name] : [])));
  const keptNow = newPlan.tensors.filter(({ action, source: { name } }) => action !== 'quantize' && before.has(name));
  const kept = new Map(keptNow.map((tensor) => [tensor.source.name, tensor]));
  for await (const event of quantizer.run(job, signal)) {
    if (event.type !== 'copied') continue;
    const tensor = kept.get(newPlan.output.tensors[event.id]?.name ?? '');
    if (tensor !== undefined) yield { type: 'tensorFinished', tensor: report.kept(tensor, event.seconds) };
  }
  return newPlan;
}

/** What is no number, or below zero, is no objective. */
function judged(result: QuantizedResult): QuantizedResult {
  const { objective, objectiveNearest, ...rest } = result;
  return objective === undefined || objectiveNearest === undefined || !(objectiveNearest >= 0)
    ? rest
    : { ...rest, objective, objectiveNearest };
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
