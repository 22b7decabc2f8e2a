/** How far one model's next-token distribution is from another's, and how well each predicts the text. */
import type { Matrix } from './matrix';

/** log softmax of every row. */
export function logProbabilities(logits: Matrix): Matrix {
  const values = new Float32Array(logits.values.length);
  for (let start = 0; start < values.length; start += logits.columns) {
    const row = logits.values.subarray(start, start + logits.columns);
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const offset = largest + Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    row.forEach((value, index) => (values[start + index] = value - offset));
  }
  return { ...logits, values };
}

/** KL(original ‖ other) in nats, mean over the rows (tokens); both are log probabilities. */
export function klDivergence(original: Matrix, other: Matrix): number {
  let sum = 0;
  original.values.forEach((value, index) => (sum += Math.exp(value) * (value - (other.values[index] ?? NaN))));
  return sum / original.rows;
}

/** Mean −log probability of the tokens that really come next, in nats. */
export function negativeLogLikelihood(logProbability: Matrix, next: Uint8Array): number {
  let sum = 0;
  next.forEach((token, row) => (sum -= logProbability.values[row * logProbability.columns + token] ?? NaN));
  return sum / logProbability.rows;
}
