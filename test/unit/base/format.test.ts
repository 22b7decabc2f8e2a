import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatInteger,
  formatPercent,
  formatProgress,
  formatQuantity,
  formatSeconds,
  formatShape,
  formatTimeLeft,
} from '../../../src/base/format';

describe('format', () => {
  it('writes sizes with three significant digits in decimal units', () => {
    expect([0, 999, 999.6, 1000, 8_301_376, 99_960_000, 999_500_000, 6.7e10].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.00 kB',
      '1.00 kB',
      '8.30 MB',
      '100 MB',
      '1.00 GB',
      '67.0 GB',
    ]);
  });

  it('tells progress and the time left no finer than they are known', () => {
    expect([0, 0.067, 0.999, 1].map(formatProgress)).toEqual(['0 %', '6 %', '99 %', '100 %']);
    expect([0, 3.4, 9.6, 17, 58, 88, 94, 597, 640, 3580, 7900].map(formatTimeLeft)).toEqual([
      'about 1 s left',
      'about 3 s left',
      'about 10 s left',
      'about 15 s left',
      'about 1 min 00 s left',
      'about 1 min 30 s left',
      'about 1 min 30 s left',
      'about 10 min left',
      'about 11 min left',
      'about 1 h 00 min left',
      'about 2 h 10 min left',
    ]);
  });

  it('writes small counts in full and large ones with a unit', () => {
    expect([0, 512, 9_999, 10_000, 4_147_200, 12e9].map(formatCount)).toEqual(['0', '512', '9,999', '10.0 K', '4.15 M', '12.0 B']);
    expect(formatInteger(1234567)).toBe('1,234,567');
  });

  it('writes durations without a unit that does not matter', () => {
    expect([0, 0.44, 9.94, 9.96, 59.6, 65, 3599.7, 7800, NaN].map(formatSeconds)).toEqual([
      '0.0 s',
      '0.4 s',
      '9.9 s',
      '10 s',
      '1 min 00 s',
      '1 min 05 s',
      '1 h 00 min',
      '2 h 10 min',
      '–',
    ]);
  });

  it('writes numbers of things', () => {
    expect([formatQuantity(0, 'tensor'), formatQuantity(1, 'tensor'), formatQuantity(20_000, 'tensor')]).toEqual([
      '0 tensors',
      '1 tensor',
      '20,000 tensors',
    ]);
    expect([formatQuantity(1, 'matrix', 'matrices'), formatQuantity(2, 'matrix', 'matrices')]).toEqual(['1 matrix', '2 matrices']);
  });

  it('writes shares and shapes', () => {
    expect([0, 0.0004, 0.0264, 0.0996, 1].map(formatPercent)).toEqual(['0 %', '<0.1 %', '2.6 %', '10 %', '100 %']);
    expect([formatShape([]), formatShape([4096, 11008])]).toEqual(['scalar', '4096 × 11008']);
  });
});
