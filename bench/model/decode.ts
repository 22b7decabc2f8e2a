/** Turns the bytes of a tensor into F32 values, exactly: every dtype here is a subset of F32. */
import type { Dtype } from '../../src/engine/dtype';
import { E4M3_VALUES, E5M2_VALUES } from './float8';

/** Throws for dtypes that no file of the benchmark has. */
export function decodeValues(dtype: Dtype, bytes: Uint8Array): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(aligned(bytes));
    case 'F16':
      return Float32Array.from(new Uint16Array(aligned(bytes)), halfValue);
    case 'BF16':
      return new Float32Array(Uint32Array.from(new Uint16Array(aligned(bytes)), (bits) => bits << 16).buffer);
    case 'F8_E4M3':
      return Float32Array.from(bytes, (code) => E4M3_VALUES[code] ?? NaN);
    case 'F8_E5M2':
      return Float32Array.from(bytes, (code) => E5M2_VALUES[code] ?? NaN);
    case 'U8':
      return Float32Array.from(bytes);
    default:
      throw new Error(`The benchmark does not decode tensors of dtype ${dtype}.`);
  }
}

/** A copy, since a view into a file's bytes may begin anywhere and typed arrays want multiples of their element. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function halfValue(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = (bits & 0x3ff) / 1024;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -14 : sign * (1 + mantissa) * 2 ** (exponent - 15);
}
