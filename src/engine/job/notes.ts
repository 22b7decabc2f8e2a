/** notes: what a recipe cannot do, or leaves alone, in words for the report. Pure. */
import { formatQuantity } from '../../base/format';
import type { Plan } from '../plan/plan';
import { defaultRecipe } from '../plan/recipe';
import type { TensorReport } from './report';

export function notesOf(plan: Plan): readonly string[] {
  const { recipe } = plan;
  const defaults = defaultRecipe({ rounding: recipe.rounding });
  const notes: string[] = [];
  const propagates = plan.tensors.some(
    ({ quantization }) => quantization?.statistics?.inputs === 'propagated' || quantization?.statistics?.beside === 'propagated',
  );
  if (recipe.calibSamples !== defaults.calibSamples && !propagates) {
    notes.push('calib_samples has no effect: no statistics are propagated, so no samples are drawn.');
  }
  if (recipe.rounding === 'nearest') {
    if (recipe.numIter !== defaults.numIter) notes.push('num_iter has no effect: nearest rounding does not iterate.');
    if (recipe.topK !== defaults.topK) notes.push('top_k has no effect: nearest rounding looks at no components.');
  }
  const biases = keptBiases(plan);
  if (biases > 0) {
    const subject = biases === 1 ? '1 bias stays as it is' : `${biases} biases stay as they are`;
    notes.push(`${subject}: ${whyBiasesStay(plan)}`);
  }
  return notes;
}

/** Where nearest rounding was written in place of what was learned, whatever the objectives came to. */
export function fallbackNotes(tensors: readonly TensorReport[]): readonly string[] {
  const names = tensors.flatMap(({ name, keptNearest }) => (keptNearest === true ? [name] : []));
  const [first] = names;
  if (first === undefined) return [];
  const others = names.length === 1 ? '' : ` and ${formatQuantity(names.length - 1, 'other')}`;
  return [`Learned rounding found nothing better than nearest for "${first}"${others}, so nearest rounding is what was written.`];
}

function whyBiasesStay({ recipe }: Plan): string {
  if (recipe.biasCorrection === 'off') return 'the recipe turns their correction off.';
  if (recipe.rounding !== 'learned') return 'they are corrected only with learned rounding.';
  return "nothing tells the mean of their layers' inputs, without which a correction only adds noise.";
}

function keptBiases(plan: Plan): number {
  return plan.tensors.filter(({ action, rule, correction }) => action === 'keep' && rule === 'bias' && correction === undefined).length;
}
