/** What `--quantize` says of the tensors of a pattern. */
import { expect, it } from 'vitest';
import { readQuantize } from '../../../src/cli/encodingOptions';
import { UsageError } from '../../../src/cli/usageError';

it.each([
  ['*.mlp.*', { match: '*.mlp.*' }],
  ['*.mlp.* => int8', { match: '*.mlp.*', target: 'int8' }],
  ['*.mlp.*=>Row, INT8 nearest', { match: '*.mlp.*', target: 'int8', granularity: 'row', rounding: 'nearest' }],
  ['/a b/ => block:64x32', { match: '/a b/', granularity: 'block', blockSize: [64, 32] }],
])('%s', (value, expected) => {
  expect(readQuantize(value)).toEqual(expected);
});

it.each([
  ['a => int9', /"int9" after => is no target \(.*int8.*\), granularity or rounding/],
  ['a => block:0x32', /"block:0x32" after =>/],
  ['a => int8 => row', /has => twice/],
])('%s is wrong, and it is said why', (value, message) => {
  expect(() => readQuantize(value)).toThrow(UsageError);
  expect(() => readQuantize(value)).toThrow(message);
});
