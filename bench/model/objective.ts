/** What learned rounding minimises, computed plainly from the weights before and after, to be compared with what a report claims. */
import { matrix, timesTransposed, type Matrix } from './matrix';

/** tr(E H Eᵀ) with E = converted − source and H = WᵀW (W the source), normalised to mean diagonal 1, plus `damping` · I. */
export function gramObjective(source: Matrix, converted: Matrix, damping: number): number {
  const error = difference(source, converted);
  const meanDiagonal = sumOfSquares(source.values) / source.columns;
  if (meanDiagonal === 0) return damping * sumOfSquares(error.values);
  // tr(E WᵀW Eᵀ) = ‖E Wᵀ‖².
  return sumOfSquares(timesTransposed(error, source).values) / meanDiagonal + damping * sumOfSquares(error.values);
}

/** ‖converted − source‖ ÷ ‖source‖ in the Frobenius norm; 0 where the source is all zeros. */
export function relativeError(source: Matrix, converted: Matrix): number {
  const whole = sumOfSquares(source.values);
  return whole === 0 ? 0 : Math.sqrt(sumOfSquares(difference(source, converted).values) / whole);
}

function difference(source: Matrix, converted: Matrix): Matrix {
  return matrix(
    source.rows,
    source.columns,
    source.values.map((value, index) => converted.values[index]! - value),
  );
}

function sumOfSquares(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
