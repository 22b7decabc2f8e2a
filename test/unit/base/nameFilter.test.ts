import { describe, expect, it } from 'vitest';
import { nameFilter } from '../../../src/base/nameFilter';

const NAMES = ['blocks.0.attn.q.weight', 'blocks.10.attn.q.bias', 'Blocks.2.MLP.weight_scale', 'odd(name)[0]'];

describe('nameFilter', () => {
  it('takes everything where nothing is asked', () => {
    expect(nameFilter('  ').kind).toBe('all');
    expect(nameFilter('/').kind).toBe('all');
  });

  it.each([
    ['ATTN q', [0, 1]],
    ['mlp', [2]],
    ['*.weight', [0]],
    ['*weight*', [0, 2]],
    ['blocks.?.*', [0, 2]],
    ['blocks.*.q', [0, 1]],
    ['*.q.*', [0, 1]],
    ['(name)[0', [3]],
    ['/^blocks\\.\\d\\./', [0]],
    ['/^blocks/i', [0, 1, 2]],
    ['/q\\.w', [0]],
  ])('%s', (text, expected) => {
    const filter = nameFilter(text);
    expect(filter.kind).toBe('some');
    if (filter.kind !== 'some') return;
    expect([...NAMES.keys()].filter((index) => filter.matches(NAMES[index] ?? '', (NAMES[index] ?? '').toLowerCase()))).toEqual(expected);
  });

  it('says what is wrong with an expression', () => {
    expect(nameFilter('/[/')).toMatchObject({ kind: 'invalid', problem: 'Not a regular expression: unterminated character class.' });
    expect(nameFilter('/a/g')).toMatchObject({ kind: 'invalid', problem: expect.stringMatching(/only i/) as string });
  });
});
