import { expect, it } from 'vitest';
import { suggest } from '../../../src/base/suggest';

const COMMANDS = ['convert', 'inspect', 'verify', 'devices'];

it.each([
  ['convrt', 'convert'],
  ['CONVERT', 'convert'],
  ['ocnvert', 'convert'],
  ['insp', 'inspect'],
  ['device', 'devices'],
  ['verfiy', 'verify'],
])('%s means %s', (typed, meant) => {
  expect(suggest(typed, COMMANDS)).toBe(meant);
});

it.each(['x', '', 'quantize', 'no', 'help'])('%j means none of them', (typed) => {
  expect(suggest(typed, COMMANDS)).toBeUndefined();
});
