/** runPreview: what nearest and learned rounding would make of one tensor, by the very tasks of a conversion, written to nowhere. */
import { devNull } from 'node:os';
import { EngineError } from '../errors';
import { checkCalibration } from '../job/checkCalibration';
import { chooseDevice } from '../job/chooseDevice';
import { scheduleTasks } from '../job/schedule';
import type { QuantizedResult, Quantizer, QuantizeTask } from '../job/quantizer';
import type { Calibration } from '../plan/calibration';
import { makePlan, type PlanOptions } from '../plan/makePlan';
import type { Plan, PlannedTensor } from '../plan/plan';
import { calibrationOfRecipe } from '../plan/readCalibrationFile';
import type { Recipe } from '../plan/recipe';
import type { StatisticsChoice } from '../plan/statistics';
import { sourceForRecipe } from '../plan/stored/sourceForRecipe';
import { readModelSource, type ModelSource } from '../safetensors/modelSource';
import type { PreviewEvent, PreviewRequest, RoundingPreview } from './inspectEvent';
import { interruption } from './runInspect';

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
  const using = { toolVersion, device: device.kind, quantizer, threads, signal };
  const { task, basis, conversion } = await taskOf(source, tensor, { ...recipe, rounding }, using);
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

interface TaskOfPreview extends Pick<RoundingPreview, 'basis' | 'conversion'> {
  readonly task: QuantizeTask;
}

/** Without samples sent through the whole model, which would take longer than anybody wants to wait for a preview. */
async function taskOf(
  file: ModelSource,
  tensor: string,
  recipe: Recipe,
  { toolVersion, device, ...using }: Pick<PlanOptions, 'toolVersion' | 'device'> & Parameters<typeof checkCalibration>[2],
): Promise<TaskOfPreview> {
  const { source, stored } = await sourceForRecipe(file, recipe);
  const { path, header, files } = source;
  const options = { toolVersion, ...(device === undefined ? {} : { device }), ...(stored === undefined ? {} : { stored }) };
  const planned = (calibration: Calibration | undefined): Plan => {
    const plan = makePlan(header, recipe, { ...options, ...(calibration === undefined ? {} : { calibration }) });
    // Codes may have another name than the weight that they stand for.
    const tensors = plan.tensors.filter((weight) => (weight.stored?.weight.codes.name ?? weight.source.name) === tensor);
    return { ...plan, tensors };
  };
  const { calibration: found } = await calibrationOfRecipe(recipe, header);
  const checked = found === undefined ? undefined : await checkCalibration(planned(found), found, using);
  const sources = {
    propagated: new Map(),
    means: new Map(),
    ...(checked === undefined ? {} : { calibration: { calibration: checked.calibration, file: files.length } }),
  };
  const plan = planned(checked?.calibration);
  const [task] = scheduleTasks({ ...plan, tensors: plan.tensors.map(withoutSamples) }, sources);
  const choice = plan.tensors[0]?.quantization?.statistics;
  const basis = choice?.inputs === 'calibrated' ? 'calibration' : 'weights';
  const conversion = choice?.inputs === 'propagated' || choice?.beside === 'propagated' ? 'adds samples' : 'same';
  if (task?.kind === 'quantize') return { task, basis, conversion };
  throw new EngineError('InvalidRecipe', `"${tensor}" is not quantized by this recipe, so there is nothing to preview.`, { path, tensor });
}

function withoutSamples(tensor: PlannedTensor): PlannedTensor {
  const { quantization } = tensor;
  const choice = quantization?.statistics;
  if (quantization === undefined || choice === undefined) return tensor;
  const { beside: _none, ...rest } = choice;
  const statistics: StatisticsChoice = rest.inputs === 'propagated' ? { ...rest, inputs: 'gram' } : rest;
  return { ...tensor, quantization: { ...quantization, statistics } };
}
