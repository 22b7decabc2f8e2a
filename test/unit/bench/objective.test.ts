import { describe, expect, it } from 'vitest';
import { matrix } from '../../../bench/model/matrix';
import { gramObjective, relativeError } from '../../../bench/model/objective';

// W = [[1, 2], [3, 4]]: WᵀW = [[10, 14], [14, 20]], mean diagonal 15. E = [[1, 0], [0, −1]].
const source = matrix(2, 2, new Float32Array([1, 2, 3, 4]));
const converted = matrix(2, 2, new Float32Array([2, 2, 3, 3]));

describe('gramObjective', () => {
  it('is tr(E H Eᵀ) with the normalised, damped Gram', () => {
    expect(gramObjective(source, converted, 0)).toBeCloseTo((10 + 20) / 15, 12);
    expect(gramObjective(source, converted, 1)).toBeCloseTo((10 + 20) / 15 + 2, 12);
  });

  it('sees how errors in different columns add up', () => {
    const both = matrix(2, 2, new Float32Array([2, 3, 3, 4]));
    expect(gramObjective(source, both, 1)).toBeCloseTo((10 + 2 * 14 + 20) / 15 + 2, 12);
  });

  it('is zero without an error, also for a tensor of zeros', () => {
    expect(gramObjective(source, source, 1)).toBe(0);
    expect(gramObjective(matrix(2, 2), matrix(2, 2), 1)).toBe(0);
  });
});

describe('relativeError', () => {
  it('is the ratio of Frobenius norms', () => {
    expect(relativeError(source, converted)).toBeCloseTo(Math.sqrt(2 / 30), 12);
    expect(relativeError(matrix(2, 2), matrix(2, 2))).toBe(0);
  });
});
