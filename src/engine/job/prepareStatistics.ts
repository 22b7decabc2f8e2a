/** prepareStatistics: what a plan's choice of statistics needs before the first tensor is rounded. */
import { formatQuantity } from '../../base/format';
import { feedersOf } from '../families/feeders';
import { withCorrections, withoutCorrections } from '../plan/biasCorrection';
import type { Calibration } from '../plan/calibration';
import { modelFamily } from '../plan/modelFamily';
import type { Plan, PlannedTensor } from '../plan/plan';
import type { ModelSource } from '../safetensors/modelSource';
import type { ConvertRequest } from './convertRequest';
import type { JobEvent } from './jobEvent';
import { propagate } from './propagate';
import type { Quantizer, QuantizerDevice } from './quantizer';
import type { StatisticsSources } from './statisticsTerms';

/**
 * What is left to `auto` on a GPU is what keeps a conversion at the disk's speed: samples go through the model on the CPU, and sweeps over both
 * sides take several times as long as the rest, so both are done where they are asked for. Recorded output gradients are asked for by the file.
 */
export function planForDevice(plan: Plan, device: QuantizerDevice['kind']): Plan {
  if (device === 'cpu') return plan;
  const { recipe } = plan;
  const tensors = plan.tensors.map((tensor): PlannedTensor => {
    const choice = tensor.quantization?.statistics;
    if (tensor.quantization === undefined || choice === undefined) return tensor;
    const byItself = recipe.statistics === 'auto' && choice.inputs === 'propagated';
    const statistics = {
      ...choice,
      ...(byItself
        ? ({
            inputs: 'gram',
            mean: choice.mean === 'calibrated' ? 'calibrated' : 'unknown',
            reason: 'Gram: on a GPU, samples are sent through the model only where that is asked for.',
          } as const)
        : {}),
      ...(recipe.sides === 'auto' && choice.outputs === 'gram' ? ({ outputs: 'none' } as const) : {}),
    };
    return { ...tensor, quantization: { ...tensor.quantization, statistics } };
  });
  return { ...plan, tensors: withCorrections(withoutCorrections(tensors), recipe) };
}

/** Sends samples through the model where the plan wants them. The temporary file is the caller's to remove. */
export async function* prepareStatistics(
  plan: Plan,
  request: ConvertRequest,
  source: ModelSource,
  calibration: Calibration | undefined,
  environment: { readonly quantizer: Quantizer; readonly statisticsPath: string; readonly signal: AbortSignal },
): AsyncGenerator<JobEvent, { readonly files: readonly string[]; readonly sources: StatisticsSources }, undefined> {
  const { quantizer, statisticsPath, signal } = environment;
  const files = calibration === undefined ? [] : [calibration.path];
  const calibrated = calibration === undefined ? {} : { calibration: { calibration, file: source.files.length } };
  const feeders = feedersOf(source.header, modelFamily(source.header).recognition);
  const wanted = new Set(plan.tensors.flatMap((tensor) => (wantsPropagation(tensor, feeders.reached) ? [tensor.source.name] : [])));
  if (wanted.size === 0) return { files, sources: { ...calibrated, propagated: new Map(), means: new Map() } };
  const { recipe } = plan;
  const reached = formatQuantity(wanted.size, 'matrix', 'matrices');
  yield { type: 'log', message: `sending ${formatQuantity(recipe.calibSamples, 'sample')} through the model, for ${reached}` };
  const index = source.files.length + files.length;
  const { byWeight, means } = await propagate(
    feeders,
    wanted,
    new Map(plan.tensors.flatMap((tensor) => (tensor.stored === undefined ? [] : [[tensor.source.name, tensor.stored] as const]))),
    { sources: source.files, statistics: statisticsPath, index },
    { recipe, quantizer, threads: request.threads, signal },
  );
  return { files: [...files, statisticsPath], sources: { ...calibrated, propagated: byWeight, means } };
}

/** Also where the statistics are calibrated: few samples say less than samples and what is known without them. */
export function wantsPropagation({ source, quantization }: PlannedTensor, reached: ReadonlySet<string>): boolean {
  const inputs = quantization?.statistics?.inputs;
  return inputs === 'propagated' || (inputs === 'calibrated' && reached.has(source.name));
}
