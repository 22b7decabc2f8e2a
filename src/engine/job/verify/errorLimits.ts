/** errorLimits: whether a weight's error is what its codes and scales come to, or what something else has done to it. Pure. */
import type { ComparedResult } from '../quantizer';
import type { Rounding } from '../../plan/recipe';

/** Squared error as a multiple of that of nearest rounding with the same scales. Learned rounding trades a larger one for a smaller one of the output. */
const MOST_LEARNED = 3;
const MOST_NEAREST = 1.01;
/** In halves of the widest step. */
const FARTHEST_NEAREST = 1.01;

/** A sentence; undefined where the error is as it should be. `rounding` is undefined for files of other tools. */
export function problemOfError(result: ComparedResult, rounding: Rounding | undefined): string | undefined {
  const { squaredError, squaredSource, squaredNearest, largestStepError } = result;
  if (squaredNearest === undefined || squaredError === 0) return undefined;
  const percent = (error: number): string => `${(100 * Math.sqrt(error / squaredSource)).toPrecision(3)} %`;
  const most = rounding === 'nearest' ? MOST_NEAREST : MOST_LEARNED;
  if (!(squaredError <= most * squaredNearest)) {
    const can = squaredNearest === 0 || squaredSource === 0 ? '0 %' : percent(squaredNearest);
    const is = squaredSource === 0 ? 'is not zero' : `differs from the source by ${percent(squaredError)}`;
    return `It ${is}, where its scales allow ${can}, so its codes or its scale are not its own.`;
  }
  if (rounding === 'nearest' && largestStepError !== undefined && largestStepError > FARTHEST_NEAREST) {
    return `One of its codes is ${(largestStepError / 2).toFixed(1)} steps from its value, and nearest rounding stays within half of one, so its codes or its scale are not its own.`;
  }
  return undefined;
}
