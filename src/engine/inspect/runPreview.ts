/** runPreview: what nearest and learned rounding would make of one tensor, by the very tasks of a conversion, written to nowhere. */
import { devNull } from 'node:os';
import { EngineError } from '../errors';
import { feedersOf } from '../families/feeders';
import { checkCalibration } from '../job/checkCalibration';
import { chooseDevice, type ChosenDevice } from '../job/chooseDevice';
import { planForDevice, wantsPropagation } from '../job/prepareStatistics';
import { scheduleTasks } from '../job/schedule';
import type { QuantizedResult, Quantizer, QuantizeTask } from '../job/quantizer';
import type { Calibration } from '../plan/calibration';
import { makePlan } from '../plan/makePlan';
import { modelFamily } from '../plan/modelFamily';
import type { Plan, PlannedTensor } from '../plan/plan';
import { calibrationOfRecipe } from '../plan/readCalibrationFile';
import type { Recipe } from '../plan/recipe';
import { sourceForRecipe } from '../plan/stored/sourceForRecipe';
import { readModelSource, type ModelSource } from '../safetensors/modelSource';
import type { PreviewEvent, PreviewRequest, RoundingPreview } from './inspectEvent';
import { interruption } from './runInspect';

interface PreviewEnvironment {
  readonly toolVersion: string;
  readonly device: Pick<ChosenDevice, 'kind'>;
  readonly quantizer: Quantizer;
  readonly threads: number;
  readonly signal: AbortSignal;
}

const NEAREST = 0;
const BETTER = 1;
/** Nearest rounding takes next to no time beside the other one. */
const NEAREST_SHARE = 0.05;

/** Ends with exactly one of `done`, `failed` and `cancelled`, and never throws. */
export async function* runPreview(
  request: PreviewRequest,
  quantizer: Quantizer,
  toolVersion: string,
  signal: AbortSignal,
): AsyncGenerator<PreviewEvent, void, undefined> {
  try {
    yield { type: 'done', preview: yield* preview(request, quantizer, toolVersion, signal) };
  } catch (error) {
    yield interruption(error, signal);
  }
}

async function* preview(
  { path, tensor, threads, recipe, device: wanted }: PreviewRequest,
  quantizer: Quantizer,
  toolVersion: string,
  signal: AbortSignal,
): AsyncGenerator<PreviewEvent, RoundingPreview, undefined> {
  const rounding = recipe.rounding === 'nearest' ? 'learned' : recipe.rounding;
  const source = await readModelSource(path);
  const device = await chooseDevice(wanted, quantizer);
  const { task, basis, conversion } = await prepared(source, tensor, { ...recipe, rounding }, { toolVersion, device, quantizer, threads, signal });
  const results: QuantizedResult[] = [];
  const tasks = [
    { ...task, id: NEAREST, rounding: 'nearest' as const },
    { ...task, id: BETTER },
  ];
  const files = recipe.calibration === null ? source.files : [...source.files, recipe.calibration];
  const job = { files, output: devNull, tasks, device: device.id, threads };
  for await (const event of quantizer.run(job, signal)) {
    if (event.type === 'progress' && event.id === BETTER) {
      yield { type: 'progress', fraction: NEAREST_SHARE + (1 - NEAREST_SHARE) * event.fraction };
    } else if (event.type === 'quantized') results[event.id] = event;
    else if (event.type === 'nonFinite') {
      throw new EngineError('InvalidRecipe', `"${tensor}" has NaN or infinite values, so a conversion keeps it.`, { path, tensor });
    }
  }
  const [nearest, better] = results;
  if (nearest === undefined || better === undefined) throw new EngineError('Internal', 'the quantizer ended without a result', { tensor });
  const { objective, objectiveNearest } = better;
  return {
    nearestError: nearest.relativeError,
    rounding,
    basis,
    conversion,
    error: better.relativeError,
    ...(objective === undefined || objectiveNearest === undefined || objectiveNearest === 0
      ? {}
      : { objectiveRatio: objective / objectiveNearest }),
    sweeps: better.sweeps,
    keptNearest: better.keptNearest,
    changedShare: better.changedShare,
    device: better.device,
    seconds: better.readSeconds + better.computeSeconds,
  };
}

interface Prepared extends Pick<RoundingPreview, 'basis' | 'conversion'> {
  readonly task: QuantizeTask;
}

/** As the conversion would plan it, but without samples sent through the whole model: that takes longer than anybody waits for a preview. */
async function prepared(
  file: ModelSource,
  tensor: string,
  recipe: Recipe,
  { toolVersion, device, ...checking }: PreviewEnvironment,
): Promise<Prepared> {
  const { source, stored } = await sourceForRecipe(file, recipe);
  const { header, files } = source;
  const planWith = (known: { readonly calibration?: Calibration }): Plan => {
    const plan = makePlan(header, recipe, { toolVersion, ...known, ...(stored === undefined ? {} : { stored }) });
    return alone(planForDevice(plan, device.kind), source.path, tensor);
  };
  let known = await calibrationOfRecipe(recipe, header);
  let plan = planWith(known);
  if (known.calibration !== undefined) {
    known = await checkCalibration(plan, known.calibration, checking);
    plan = planWith(known);
  }
  const { calibration } = known;
  const sources = {
    propagated: new Map(),
    means: new Map(),
    ...(calibration === undefined ? {} : { calibration: { calibration, file: files.length } }),
  };
  const [task] = scheduleTasks({ ...plan, tensors: plan.tensors.map(withoutSamples) }, sources);
  const [planned] = plan.tensors;
  if (task?.kind !== 'quantize' || planned === undefined) throw new EngineError('Internal', 'the preview has no task', { tensor });
  const inputs = planned.quantization?.statistics?.inputs;
  const addsSamples = wantsPropagation(planned, feedersOf(header, modelFamily(header).recognition).reached);
  return { task, basis: inputs === 'calibrated' ? 'calibration' : 'weights', conversion: addsSamples ? 'adds samples' : 'same' };
}

/** Codes may have another name than the weight that they stand for. */
function alone(plan: Plan, path: string, tensor: string): Plan {
  const planned = plan.tensors.find((weight) => (weight.stored?.weight.codes.name ?? weight.source.name) === tensor);
  if (planned?.action === 'quantize') return { ...plan, tensors: [planned] };
  throw new EngineError('InvalidRecipe', `"${tensor}" is not quantized by this recipe, so there is nothing to preview.`, { path, tensor });
}

function withoutSamples(tensor: PlannedTensor): PlannedTensor {
  const { quantization } = tensor;
  if (quantization?.statistics?.inputs !== 'propagated') return tensor;
  return { ...tensor, quantization: { ...quantization, statistics: { ...quantization.statistics, inputs: 'gram' } } };
}
