/** conversionFacts: what a conversion's report says of its recipe and of what came of it, as labels and values. Pure. */
import { formatQuantity } from '../../base/format';
import type { JobReport } from '../../engine/job/report';
import { chooseEncoding, wishOf } from '../../engine/plan/chooseEncoding';
import { granularityText } from '../../engine/plan/encoding';
import { recipeText } from '../../engine/plan/recipeText';

export interface ConversionFact {
  readonly label: string;
  readonly value: string;
}

export function conversionFacts({ recipe, tensors, summary }: JobReport): readonly ConversionFact[] {
  const corrected = tensors.filter(({ correction }) => correction !== undefined).length;
  return [
    { label: 'Recipe', value: recipeText(recipe) },
    ...(summary.counts.quantize === 0 ? [] : [{ label: 'Scales', value: granularityText(chooseEncoding(wishOf(recipe)).granularity) }]),
    ...(recipe.rounding !== 'learned' ? [] : [{ label: 'Biases', value: biases(corrected, recipe.biasCorrection) }]),
  ];
}

function biases(corrected: number, correction: JobReport['recipe']['biasCorrection']): string {
  if (correction === 'off') return 'as they are';
  return corrected === 0 ? 'none to correct' : `${formatQuantity(corrected, 'bias', 'biases')} corrected`;
}
