// Elements of every floating-point dtype that a file may have, by their bits.
import { expect, it } from 'vitest';
import { numbersOf } from '../../../src/engine/numbersOf';

it.each([
  ['F64', [0, 0, 0, 0, 0, 0, 0xf8, 0xbf], [-1.5]],
  ['F32', [0, 0, 0xc0, 0xbf, 0, 0, 0x80, 0x7f], [-1.5, Infinity]],
  ['BF16', [0xc0, 0xbf, 1, 0], [-1.5, 2 ** -133]],
  ['F16', [0, 0x3c, 0xff, 0x7b, 1, 0x80, 0, 0xfc, 0, 0x7e], [1, 65504, -(2 ** -24), -Infinity, NaN]],
  ['F8_E5M2', [0x3c, 0x7b, 0x81, 0x7c, 0x7d], [1, 57344, -(2 ** -16), Infinity, NaN]],
  ['F8_E4M3', [0x38, 0xfe, 0x01, 0x7f], [1, -448, 2 ** -9, NaN]],
] as const)('reads %s', (dtype, bytes, numbers) => {
  expect(Array.from(numbersOf(Uint8Array.from(bytes), dtype))).toEqual(numbers);
});
