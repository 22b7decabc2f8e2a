/** notes: what a recipe cannot do, or leaves alone, in words for the report. Pure. */
import type { Plan } from '../plan/plan';
import { defaultRecipe } from '../plan/recipe';

export function notesOf(plan: Plan): readonly string[] {
  const { recipe } = plan;
  const defaults = defaultRecipe({ rounding: recipe.rounding });
  const notes: string[] = [];
  const propagates = plan.tensors.some(({ quantization }) => quantization?.statistics?.inputs === 'propagated');
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

function whyBiasesStay({ recipe }: Plan): string {
  if (recipe.biasCorrection === 'off') return 'the recipe turns their correction off.';
  if (recipe.rounding !== 'learned') return 'they are corrected only with learned rounding.';
  return "nothing tells the mean of their layers' inputs, without which a correction only adds noise.";
}

function keptBiases(plan: Plan): number {
  return plan.tensors.filter(({ action, rule, correction }) => action === 'keep' && rule === 'bias' && correction === undefined).length;
}
