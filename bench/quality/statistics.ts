/** Means over evaluation rows with their uncertainty. */

export interface Estimate {
  readonly value: number;
  readonly standardError: number;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * mean(values) ÷ mean(reference) for values measured on the same rows, with the jackknife's standard error: rows that are hard
 * for one model are hard for both, so the ratio is far more certain than either mean.
 */
export function ratioOfMeans(values: readonly number[], reference: readonly number[]): Estimate {
  const count = values.length;
  const valueTotal = mean(values) * count;
  const referenceTotal = mean(reference) * count;
  const ratio = valueTotal / referenceTotal;
  const leftOut = values.map((value, index) => (valueTotal - value) / (referenceTotal - (reference[index] ?? NaN)));
  const center = mean(leftOut);
  const variance = ((count - 1) / count) * leftOut.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return { value: ratio, standardError: Math.sqrt(variance) };
}
