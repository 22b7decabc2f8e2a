/** Holds a file converted with `nearest` against the reference cast, code by code. */
import { castScaledToE4m3 } from './float8';
import { scaleOf } from './dequantize';
import { findTensor, tensorBytes, tensorValues, type TensorFile } from './tensorFile';

export interface CastDifference {
  readonly tensor: string;
  readonly elements: number;
  /** Codes that are not the reference's. */
  readonly different: number;
  readonly scale: number;
  /** The smallest BF16 value that is not below max |w| ÷ 448: the scale the tensor should have. */
  readonly expectedScale: number;
}

/** One entry for every tensor that has become F8_E4M3. */
export function compareWithReferenceCast(source: TensorFile, converted: TensorFile): readonly CastDifference[] {
  return converted.header.tensors
    .filter((tensor) => tensor.dtype === 'F8_E4M3')
    .map((tensor) => {
      const weights = tensorValues(source, findTensor(source, tensor.name));
      const scaleTensor = scaleOf(converted, tensor.name);
      if (scaleTensor === undefined) throw new Error(`${converted.path} has no scale for ${tensor.name}.`);
      const scale = tensorValues(converted, scaleTensor)[0] ?? NaN;
      const expected = castScaledToE4m3(weights, scale);
      const codes = tensorBytes(converted, tensor);
      const different = expected.reduce((count, code, index) => (code === codes[index] ? count : count + 1), 0);
      return { tensor: tensor.name, elements: weights.length, different, scale, expectedScale: expectedScale(weights) };
    });
}

/** Searches upwards from below the quotient, one BF16 value after the other. */
function expectedScale(weights: Float32Array): number {
  const largest = weights.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
  if (largest === 0) return 1;
  const quotient = largest / 448;
  const value = new Float32Array([quotient]);
  const bits = new Uint32Array(value.buffer);
  bits[0] = (bits[0]! & 0xffff0000) - 0x10000;
  while (value[0]! < quotient) bits[0] += 0x10000;
  return value[0]!;
}
