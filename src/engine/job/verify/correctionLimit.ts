/** correctionLimit: whether a bias changed by no more than what rounding its layer's weight can do to mean outputs. Pure. */
import type { ComparedResult } from '../quantizer';

/** The largest number of F16: inputs whose mean is beyond it are those of no model. */
const LARGEST_MEAN_INPUT = 65_504;

/**
 * A sentence; undefined where the change can be a correction. It is (W − Q) μ, whose norm is at most ‖W − Q‖ · ‖μ‖; rounding it to the bias's own
 * dtype doubles it at most. What the mean input μ was is not known here.
 */
export function problemOfCorrection(bias: ComparedResult, weight: ComparedResult | undefined, columns: number): string | undefined {
  if (bias.nonFiniteCount > 0) return `${bias.nonFiniteCount} of its values are NaN or infinite.`;
  if (weight === undefined || weight.nonFiniteCount > 0) return undefined;
  const largest = 2 * Math.sqrt(weight.squaredError * columns) * LARGEST_MEAN_INPUT;
  const change = Math.sqrt(bias.squaredError);
  if (change <= largest) return undefined;
  return `It differs from the source by ${change.toPrecision(3)}, more than rounding its layer's weight can ask for (${largest.toPrecision(3)}).`;
}
