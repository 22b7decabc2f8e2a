/** notes: what a recipe cannot do, or leaves alone, in words for the report. Pure. */
import { formatQuantity } from '../../base/format';
import type { Calibration } from '../plan/calibration';
import type { Plan, TensorQuantization } from '../plan/plan';
import { defaultRecipe, type Recipe } from '../plan/recipe';
import type { TensorInfo } from '../safetensors/header';
import type { TensorReport } from './report';

export function notesOf(plan: Plan, calibration?: Calibration): readonly string[] {
  return [...statisticsNotes(plan, calibration), ...roundingNotes(plan), ...biasNotes(plan)];
}

/** Where nearest rounding was written in place of what was learned, whatever the objectives came to. */
export function fallbackNotes(tensors: readonly TensorReport[]): readonly string[] {
  const names = tensors.flatMap(({ name, keptNearest }) => (keptNearest === true ? [name] : []));
  const [first] = names;
  if (first === undefined) return [];
  const others = names.length === 1 ? '' : ` and ${formatQuantity(names.length - 1, 'other')}`;
  return [`Learned rounding found nothing better than nearest for "${first}"${others}, so nearest rounding is what was written.`];
}

/** Of choices that concern learned rounding, where it learns from something else. */
function statisticsNotes(plan: Plan, calibration: Calibration | undefined): readonly string[] {
  const { recipe } = plan;
  const choices = plan.tensors.flatMap(({ quantization }) => quantization?.statistics ?? []);
  const layers = [...(calibration?.byWeight.values() ?? [])];
  const notes: string[] = [];
  const propagates = choices.some(({ inputs, beside }) => inputs === 'propagated' || beside === 'propagated');
  if (recipe.calibSamples !== defaultRecipe().calibSamples && !propagates) {
    notes.push('calib_samples has no effect: no statistics are propagated, so no samples are drawn.');
  }
  if (choices.length === 0) return notes;
  if (recipe.statistics === 'propagated' && !propagates) {
    notes.push(
      'statistics propagated have no effect: no samples get through what is known of this model, so the weights alone tell of its inputs.',
    );
  }
  const goesWithoutFile = recipe.statistics === 'gram' || recipe.statistics === 'propagated';
  if (goesWithoutFile && layers.some(({ inputs, inputMean }) => inputs !== undefined || inputMean !== undefined)) {
    notes.push(
      `The inputs in the calibration file have no effect: the recipe asks for ${recipe.statistics} statistics. With auto they count.`,
    );
  }
  if (recipe.sides === 'auto' && recipe.topK !== 'full' && layers.some(({ outputs }) => outputs !== undefined)) {
    notes.push(
      'The output gradients in the calibration file have no effect: with top_k, inputs alone steer rounding unless the sides are both.',
    );
  }
  return notes;
}

/** Of choices that other roundings do not know. */
function roundingNotes({ recipe, tensors }: Plan): readonly string[] {
  const { rounding } = recipe;
  if (rounding === 'learned') return [];
  const defaults = defaultRecipe({ rounding });
  const notes: string[] = [];
  if (recipe.calibration !== null) notes.push(`The calibration file has no effect: ${rounding} rounding takes no statistics.`);
  if (tensors.every(({ quantization }) => quantization?.statistics === undefined)) {
    if (recipe.statistics !== defaults.statistics) notes.push(`statistics has no effect: ${rounding} rounding takes none.`);
    if (recipe.sides !== defaults.sides) notes.push(`sides has no effect: ${rounding} rounding takes no statistics of either side.`);
  }
  if (tensors.some(({ quantization }) => (quantization?.rounding ?? 'nearest') !== 'nearest')) return notes;
  if (recipe.numIter !== defaults.numIter) notes.push('num_iter has no effect: nearest rounding does not iterate.');
  if (recipe.topK !== defaults.topK) notes.push('top_k has no effect: nearest rounding looks at no components.');
  if (recipe.seed !== defaults.seed) notes.push('seed has no effect: nearest rounding draws nothing at random.');
  return notes;
}

/** Biases of layers whose weights are rounded, and which do not take over what that does, by their causes. */
function biasNotes({ recipe, tensors }: Plan): readonly string[] {
  const quantized = new Map(
    tensors.flatMap(({ source: { name }, quantization }) => (quantization === undefined ? [] : [[name, quantization] as const])),
  );
  const causes = new Map<string, number>();
  for (const { source, action, rule, correction } of tensors) {
    if (action !== 'keep' || rule !== 'bias' || correction !== undefined) continue;
    const weight = quantized.get(source.name.replace(/bias$/, 'weight'));
    if (weight === undefined) continue;
    const cause = whyBiasStays(recipe, weight, source);
    causes.set(cause, (causes.get(cause) ?? 0) + 1);
  }
  return [...causes].map(([cause, count]) => `${count === 1 ? '1 bias stays as it is' : `${count} biases stay as they are`}: ${cause}`);
}

function whyBiasStays(
  { biasCorrection }: Recipe,
  { rounding, rows, statistics }: TensorQuantization,
  { shape, dtype }: TensorInfo,
): string {
  if (biasCorrection === 'off') return 'the recipe turns the correction off.';
  if (rounding !== 'learned') return 'biases are corrected only with learned rounding.';
  if (statistics === undefined || statistics.mean === 'unknown')
    return 'nothing tells the mean of what such a layer sees, without which a correction only adds noise.';
  return shape.length === 1 && shape[0] === rows
    ? `${dtype} biases are not corrected.`
    : 'a bias that is corrected has one number for each output of its layer.';
}
