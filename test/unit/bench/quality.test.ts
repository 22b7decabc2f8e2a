import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../../bench/quality/options';
import { mean, ratioOfMeans } from '../../../bench/quality/statistics';
import { formatTable } from '../../../bench/quality/table';
import { DEFAULT_VARIANTS, parseVariant } from '../../../bench/quality/variants';

describe('ratioOfMeans', () => {
  it('is certain where every row agrees, whatever the rows are', () => {
    const ratio = ratioOfMeans([1, 2, 5], [2, 4, 10]);
    expect(ratio.value).toBeCloseTo(0.5, 12);
    expect(ratio.standardError).toBeCloseTo(0, 12);
  });

  it('has the standard error of the mean where the reference is constant', () => {
    const values = [1, 2, 3, 4];
    const ratio = ratioOfMeans(values, [1, 1, 1, 1]);
    expect(ratio.value).toBe(mean(values));
    expect(ratio.standardError).toBeCloseTo(Math.sqrt(5 / 3 / 4), 12);
  });
});

describe('formatTable', () => {
  it('is Markdown whose columns line up', () => {
    expect(
      formatTable(
        ['a', 'KL'],
        [
          ['first', '1'],
          ['b', '0.25'],
        ],
      ),
    ).toBe(['| a     |   KL |', '| ----- | ---: |', '| first |    1 |', '| b     | 0.25 |'].join('\n'));
  });
});

describe('parseVariant', () => {
  it('splits a name from the options after it', () => {
    expect(parseVariant('one sweep=--num_iter 1  --top_k=64')).toEqual({
      name: 'one sweep',
      convertOptions: ['--num_iter', '1', '--top_k=64'],
    });
    expect(parseVariant('default=')).toEqual({ name: 'default', convertOptions: [] });
  });

  it('refuses a variant without a name', () => {
    expect(() => parseVariant('--rounding learned')).toThrow('NAME=OPTIONS');
    expect(() => parseVariant('=--rounding learned')).toThrow('NAME=OPTIONS');
  });
});

describe('parseOptions', () => {
  it('adds variants to the usual ones', () => {
    const options = parseOptions(['--rows', '8', '--variant', 'x=--seed 1']);
    expect(options.rows).toBe(8);
    expect(options.variants).toEqual([...DEFAULT_VARIANTS, { name: 'x', convertOptions: ['--seed', '1'] }]);
  });

  it('refuses counts that are none', () => {
    expect(() => parseOptions(['--rows', '0'])).toThrow('--rows takes a whole number from 1; got "0".');
    expect(() => parseOptions(['--threads', 'many'])).toThrow('--threads');
  });
});
