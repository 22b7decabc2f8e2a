/** conversionFacts: what a conversion's report says of how it was done, as labels and values: the recipe, and what came of what it left open. Pure. */
import { formatQuantity } from '../../base/format';
import type { JobReport, TensorReport } from '../../engine/job/report';
import { chooseEncoding, wishOf } from '../../engine/plan/chooseEncoding';
import { granularityText } from '../../engine/plan/encoding';
import { recipeText } from '../../engine/plan/recipeText';
import type { InputStatistics, OutputStatistics } from '../../engine/plan/statistics';

export interface ConversionFact {
  readonly label: string;
  readonly value: string;
}

export function conversionFacts({ recipe, tensors, summary }: JobReport): readonly ConversionFact[] {
  const steered = steering(tensors);
  const corrected = tensors.filter(({ correction }) => correction !== undefined).length;
  return [
    { label: 'Recipe', value: recipeText(recipe) },
    ...(summary.counts.quantize === 0 ? [] : [{ label: 'Scales', value: granularityText(chooseEncoding(wishOf(recipe)).granularity) }]),
    ...(steered === '' ? [] : [{ label: 'Steered by', value: steered }]),
    ...(recipe.rounding !== 'learned' ? [] : [{ label: 'Biases', value: biases(corrected, recipe.biasCorrection) }]),
  ];
}

const INPUTS: Readonly<Record<InputStatistics, string>> = {
  gram: 'the weights alone',
  propagated: 'synthetic samples sent through the model',
  calibrated: 'inputs of the calibration file',
};

const OUTPUTS: Readonly<Record<OutputStatistics, string>> = {
  none: '',
  gram: ' and the weights’ outputs',
  calibrated: ' and output gradients of the calibration file',
};

/** Most matrices first. */
function steering(tensors: readonly TensorReport[]): string {
  const counts = new Map<string, number>();
  for (const { statistics } of tensors) {
    if (statistics === undefined) continue;
    const words = `${INPUTS[statistics.inputs]}${OUTPUTS[statistics.outputs]}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  const all = [...counts].sort(([, a], [, b]) => b - a);
  return all.map(([words, count]) => `${words} (${formatQuantity(count, 'matrix', 'matrices')})`).join('; ');
}

function biases(corrected: number, correction: JobReport['recipe']['biasCorrection']): string {
  if (correction === 'off') return 'as they are';
  return corrected === 0 ? 'none to correct' : `${formatQuantity(corrected, 'bias', 'biases')} corrected`;
}
