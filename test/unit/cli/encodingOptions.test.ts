/** What `--target` says of a model, and `--quantize` of the tensors of a pattern. */
import { expect, it } from 'vitest';
import { Arguments } from '../../../src/cli/arguments';
import { readEncoding, readQuantize } from '../../../src/cli/encodingOptions';
import { CONVERT_OPTIONS } from '../../../src/cli/options';
import { UsageError } from '../../../src/cli/usageError';

it.each([
  ['*.mlp.*', { match: '*.mlp.*' }],
  ['*.mlp.* => int8', { match: '*.mlp.*', target: 'int8' }],
  ['*.mlp.*=>Row, INT8 nearest', { match: '*.mlp.*', target: 'int8', granularity: 'row', rounding: 'nearest' }],
  ['a => e5m2', { match: 'a', target: 'float8_e5m2' }],
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

const targetOf = (text: string): string | undefined => readEncoding(Arguments.parse([`--target=${text}`], CONVERT_OPTIONS)).target;

it.each([
  ['float8_e4m3fn', ['float8_e4m3fn', 'FP8', 'e4m3', 'e4m3fn', 'fp8_e4m3fn', 'float8-e4m3fn', 'fp8_e4m3fn_scaled']],
  ['float8_e5m2', ['e5m2', 'fp8_e5m2', 'float8_e5m2']],
  ['int8', ['INT8', 'i8']],
  ['nvfp4', ['NVFP4', 'fp4']],
  ['mxfp8', ['mx-fp8']],
])('%s goes by other names as well', (target, names) => {
  expect(names.map(targetOf)).toEqual(names.map(() => target));
});

it.each(['fp7', 'e4m3fnuz', 'int4', 'mxfp4'])('%s is no target', (text) => {
  expect(() => targetOf(text)).toThrow(/--target cannot be ".*float8_e4m3fn, float8_e5m2, int8, mxfp8, nvfp4\)/);
});
