import { describe, expect, it } from 'vitest';
import { Arguments, type OptionSpec } from '../../../src/cli/arguments';
import { UsageError } from '../../../src/cli/usageError';

const SPECS: readonly OptionSpec[] = [
  { name: 'calib_samples', value: 'N', help: '' },
  { name: 'dry-run', help: '' },
  { name: 'output', short: 'o', value: 'FILE', help: '' },
  { name: 'verbose', short: 'v', help: '' },
  { name: 'rounding', value: 'learned|nearest', help: '' },
];

const parse = (...words: string[]): Arguments => Arguments.parse(words, SPECS);

describe('options', () => {
  it('take dashes and underscores alike, and values in both forms', () => {
    for (const words of [['--calib_samples', '7'], ['--calib-samples', '7'], ['--calib_samples=7'], ['--calib-samples=7']]) {
      expect(parse(...words).integer('calib_samples', 1)).toBe(7);
    }
    expect(parse('--dry_run').has('dry-run')).toBe(true);
  });

  it('have short forms', () => {
    const given = parse('-v', '-o', 'x');
    expect(given.has('verbose')).toBe(true);
    expect(given.text('output')).toBe('x');
  });

  it('stand anywhere; what follows -- is never one', () => {
    expect(parse('a', '-v', 'b', '--', '--output', '-v').positionals).toEqual(['a', 'b', '--output', '-v']);
  });

  it('may have a value with an equals sign, or a file named -', () => {
    expect(parse('--output=a=b').text('output')).toBe('a=b');
    expect(parse('-').positionals).toEqual(['-']);
  });
});

describe('what is refused, with the way out', () => {
  it.each([
    [['--calib_sample', '7'], 'did you mean --calib_samples?'],
    [['--calibsamples', '7'], 'did you mean --calib_samples?'],
    [['--ouput', 'x'], 'did you mean --output?'],
    [['--dry'], 'did you mean --dry-run?'],
    [['-x'], 'unknown option -x'],
    [['--output'], '--output needs a value: --output FILE'],
    [['--output='], '--output needs a value'],
    [['--output', '--verbose'], '--output needs a value'],
    [['--verbose=1'], '--verbose takes no value'],
    [['-v', '--verbose'], '--verbose is given twice'],
    [['-v=x'], '--verbose takes no value'],
  ])('%j', (words, message) => {
    expect(() => parse(...words)).toThrow(UsageError);
    expect(() => parse(...words)).toThrow(message);
  });

  it.each(['511', '8193', '0', '-600', '1e3', '600.5', 'many', '0x300', ' 600', '99999999999999999999'])(
    '%j as a number of samples',
    (text) => {
      expect(() => parse(`--calib_samples=${text}`).integer('calib_samples', 512, 8192)).toThrow(/whole number, 512 to 8192; it is "/);
    },
  );

  it('a negative number as the next word is judged as a value', () => {
    expect(() => parse('--calib_samples', '-5').integer('calib_samples', 1)).toThrow('it is "-5"');
  });

  it('a choice that is none, with the closest', () => {
    expect(parse('--rounding', 'Nearest').choice('rounding', ['learned', 'nearest'])).toBe('nearest');
    expect(() => parse('--rounding', 'nearst').choice('rounding', ['learned', 'nearest'])).toThrow('did you mean nearest?');
    expect(() => parse('--rounding', 'x').choice('rounding', ['learned', 'nearest'])).toThrow('(learned, nearest)');
  });
});
