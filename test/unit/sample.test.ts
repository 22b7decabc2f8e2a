/** What `npm start` converts, whatever is given to it. */
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { convertParameters } from '../../scripts/setup/sample.mjs';

const root = resolve('.');
const sample = resolve('samples/kjv-lm.safetensors');

it('is the bundled model, into out/, where no input is given', () => {
  expect(convertParameters([], root, root)).toContain('samples/kjv-lm.safetensors');
  for (const given of [['--rounding', 'nearest'], ['--dry-run'], ['--calibration', 'c.safetensors'], ['--target=int8']]) {
    expect(convertParameters(given, root, root)).toEqual(['--input', sample, '--output', `${resolve('out')}/`, '--force', ...given]);
  }
  expect(convertParameters(['-o', 'x.safetensors'], root, root)).toEqual(['--input', sample, '-o', 'x.safetensors']);
});

it.each([
  [['--input', 'm.safetensors']],
  [['-i', 'm.safetensors', '--dry-run']],
  [['--input=m.safetensors']],
  [['m.safetensors', '--rounding', 'nearest']],
  [['--dry-run', 'm.safetensors']],
  [['--dry-run', 'samples']],
  [['--rounding', 'nearest', 'model']],
  [['--help']],
])('is what is given: %j', (given) => {
  expect(convertParameters(given, root, root)).toEqual(given);
});
