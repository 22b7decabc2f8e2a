import { describe, expect, it } from 'vitest';
import { klDivergence, logProbabilities, negativeLogLikelihood } from '../../../bench/model/divergence';
import { matrix } from '../../../bench/model/matrix';

const LOGITS = matrix(2, 2, new Float32Array([0, 0, 1000, 1000 + Math.log(3)]));

describe('logProbabilities', () => {
  it('is a log softmax that large logits do not overflow', () => {
    const probabilities = logProbabilities(LOGITS).values.map(Math.exp);
    [0.5, 0.5, 0.25, 0.75].forEach((expected, index) => expect(probabilities[index]).toBeCloseTo(expected, 4));
  });
});

describe('klDivergence', () => {
  it('is the mean over tokens of Σ p log(p / q)', () => {
    const even = logProbabilities(matrix(2, 2, new Float32Array([0, 0, 0, 0])));
    const second = 0.25 * Math.log(0.5) + 0.75 * Math.log(1.5);
    expect(klDivergence(logProbabilities(LOGITS), even)).toBeCloseTo(second / 2, 4);
    expect(klDivergence(even, even)).toBe(0);
  });
});

describe('negativeLogLikelihood', () => {
  it('is the mean surprise at the tokens that come', () => {
    expect(negativeLogLikelihood(logProbabilities(LOGITS), new Uint8Array([0, 1]))).toBeCloseTo((Math.log(2) - Math.log(0.75)) / 2, 4);
  });
});
