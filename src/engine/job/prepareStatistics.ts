/** prepareStatistics: what a plan's choice of statistics needs before the first tensor is rounded. */
import { formatQuantity } from '../../base/format';
import { feedersOf } from '../families/feeders';
import type { Calibration } from '../plan/calibration';
import { modelFamily } from '../plan/modelFamily';
import type { Plan, PlannedTensor } from '../plan/plan';
import type { LostSignal } from '../plan/statistics';
import type { ModelSource } from '../safetensors/modelSource';
import type { ConvertRequest } from './convertRequest';
import type { JobEvent } from './jobEvent';
import { propagate } from './propagate';
import type { CheckStatisticsTask, Quantizer } from './quantizer';
import type { PropagatedInput, StatisticsSources } from './statisticsTerms';

export interface PreparedStatistics {
  readonly files: readonly string[];
  readonly sources: StatisticsSources;
  /** Weights of which samples say nothing: the plan is to be made anew without them. */
  readonly lostSignals: ReadonlyMap<string, LostSignal>;
  readonly peakDeviceMemoryBytes: number;
}

/** Sends samples through the model where the plan wants them. The temporary file is the caller's to remove. */
export async function* prepareStatistics(
  plan: Plan,
  request: ConvertRequest,
  source: ModelSource,
  calibration: Calibration | undefined,
  environment: {
    readonly quantizer: Quantizer;
    readonly device: string;
    readonly statisticsPath: string;
    readonly signal: AbortSignal;
  },
): AsyncGenerator<JobEvent, PreparedStatistics, undefined> {
  const { quantizer, device, statisticsPath, signal } = environment;
  const files = calibration === undefined ? [] : [calibration.path];
  const calibrated = calibration === undefined ? {} : { calibration: { calibration, file: source.files.length } };
  const wanted = new Set(plan.tensors.flatMap((tensor) => (wantsPropagation(tensor) ? [tensor.source.name] : [])));
  if (wanted.size === 0) {
    const sources = { ...calibrated, propagated: new Map(), means: new Map() };
    return { files, sources, lostSignals: new Map(), peakDeviceMemoryBytes: 0 };
  }
  const feeders = feedersOf(source.header, modelFamily(source.header).recognition);
  const { recipe } = plan;
  const reached = formatQuantity(wanted.size, 'matrix', 'matrices');
  yield { type: 'log', message: `sending ${formatQuantity(recipe.calibSamples, 'sample')} through the model, for ${reached}` };
  const index = source.files.length + files.length;
  const { byWeight, means, notes, peakDeviceMemoryBytes } = await propagate(
    feeders,
    wanted,
    new Map(plan.tensors.flatMap((tensor) => (tensor.stored === undefined ? [] : [[tensor.source.name, tensor.stored] as const]))),
    { sources: source.files, statistics: statisticsPath, index },
    { recipe, quantizer, device, threads: request.threads, signal },
  );
  for (const message of notes) yield { type: 'log', message };
  const lostSignals = await weightsWithoutSignal(byWeight, plan, statisticsPath, { quantizer, threads: request.threads, signal });
  const sources = { ...calibrated, propagated: byWeight, means };
  return { files: [...files, statisticsPath], sources, lostSignals, peakDeviceMemoryBytes };
}

function wantsPropagation({ quantization }: PlannedTensor): boolean {
  const statistics = quantization?.statistics;
  return statistics?.inputs === 'propagated' || statistics?.beside === 'propagated' || statistics?.mean === 'propagated';
}

/** As behind a layer whose weights are all zero, or so large that their outputs are no numbers any more. */
async function weightsWithoutSignal(
  byWeight: ReadonlyMap<string, PropagatedInput>,
  { tensors }: Plan,
  path: string,
  { quantizer, threads, signal }: { readonly quantizer: Quantizer; readonly threads: number; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, LostSignal>> {
  const columnsOf = new Map(tensors.map(({ source, quantization }) => [source.name, quantization?.columns ?? 0]));
  // Layers that see the same input share what was written of it.
  const sharing = new Map<number, readonly string[]>();
  for (const [name, { values }] of byWeight) {
    const { offset } = values.range;
    sharing.set(offset, [...(sharing.get(offset) ?? []), name]);
  }
  const asked = [...sharing.values()];
  const tasks = asked.flatMap(([name = ''], id): CheckStatisticsTask[] => {
    const values = byWeight.get(name)?.values;
    if (values === undefined) return [];
    const size = columnsOf.get(name) ?? 0;
    // Only whether all is zero, or not finite, is asked, in which a moment's rows are as good as samples.
    const range = { ...values.range, file: 0 };
    return [{ kind: 'checkStatistics', id, name, form: 'samples', values: { ...values, range }, size, damping: 1 }];
  });
  const lost = new Map<string, LostSignal>();
  for await (const event of quantizer.run({ files: [path], tasks, device: 'cpu', threads }, signal)) {
    if (event.type !== 'checked' || (event.verdict !== 'allZero' && event.verdict !== 'nonFinite')) continue;
    for (const name of asked[event.id] ?? []) lost.set(name, event.verdict === 'allZero' ? 'zeros' : 'overflow');
  }
  return lost;
}
