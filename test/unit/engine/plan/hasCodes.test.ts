/** Whether the panel offers to round anew: only where the source has codes. */
import { expect, it } from 'vitest';
import { hasCodes } from '../../../../src/engine/plan/stored/recogniseStored';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

it.each<[string, Readonly<Record<string, TensorSpec>>, boolean]>([
  ['numbers', { 'a.weight': ['BF16', 8, 8], 'a.bias': ['F32', 8] }, false],
  ['whole numbers without a scale', { 'a.weight': ['I8', 8, 8], 'b.weight': ['U8', 8, 8] }, false],
  ['an empty marker', { scaled_fp8: ['F8_E4M3', 0], 'a.weight': ['BF16', 8, 8] }, false],
  ['FP8 with a scale', { 'a.weight': ['F8_E4M3', 8, 8], 'a.weight_scale': ['F32'] }, true],
  ['FP8 without one', { 'a.weight': ['F8_E5M2', 8, 8] }, true],
  ['INT8 with a scale', { 'a.weight': ['I8', 8, 8], 'a.weight_scale': ['F32', 8, 1] }, true],
  ['two codes in a byte', { 'a.weight_packed': ['U8', 8, 4] }, true],
])('%s', (_, tensors, expected) => {
  expect(hasCodes(headerOf(tensors))).toBe(expected);
});
