/** numbersOf: bytes of a floating-point dtype as numbers. Pure. */
import type { ValueDtype } from './dtype';

/** The bytes are whole elements. */
export function numbersOf(bytes: Uint8Array, dtype: ValueDtype): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read = readerOf(dtype);
  const numbers = new Float64Array(bytes.byteLength / read.bytes);
  for (let i = 0; i < numbers.length; i += 1) numbers[i] = read.at(view, i * read.bytes);
  return numbers;
}

interface ElementReader {
  readonly bytes: number;
  readonly at: (view: DataView, offset: number) => number;
}

function readerOf(dtype: ValueDtype): ElementReader {
  switch (dtype) {
    case 'F64':
      return { bytes: 8, at: (view, offset) => view.getFloat64(offset, true) };
    case 'F32':
      return { bytes: 4, at: (view, offset) => view.getFloat32(offset, true) };
    case 'BF16':
      return { bytes: 2, at: bfloat16At };
    case 'F16':
      return { bytes: 2, at: (view, offset) => smallFloat(view.getUint16(offset, true), { exponent: 5, mantissa: 10, ends: 'infinity' }) };
    case 'F8_E5M2':
      return { bytes: 1, at: (view, offset) => smallFloat(view.getUint8(offset), { exponent: 5, mantissa: 2, ends: 'infinity' }) };
    case 'F8_E4M3':
      return { bytes: 1, at: (view, offset) => smallFloat(view.getUint8(offset), { exponent: 4, mantissa: 3, ends: 'one NaN' }) };
    case 'BOOL':
    case 'U8':
    case 'I8':
    case 'I16':
    case 'U16':
    case 'I32':
    case 'U32':
    case 'I64':
    case 'U64':
      throw new RangeError(`${dtype} is no floating-point dtype`);
  }
}

const word = new DataView(new ArrayBuffer(4));

function bfloat16At(view: DataView, offset: number): number {
  word.setUint32(0, view.getUint16(offset, true) * 0x10000);
  return word.getFloat32(0);
}

interface SmallFormat {
  readonly exponent: number;
  readonly mantissa: number;
  /** Whether the largest exponent stands for infinity and NaN, or only its last number for NaN. */
  readonly ends: 'infinity' | 'one NaN';
}

function smallFloat(bits: number, { exponent: exponentBits, mantissa: mantissaBits, ends }: SmallFormat): number {
  const largest = 2 ** exponentBits - 1;
  const fraction = bits % 2 ** mantissaBits;
  const exponent = Math.floor(bits / 2 ** mantissaBits) % 2 ** exponentBits;
  const sign = bits >= 2 ** (exponentBits + mantissaBits) ? -1 : 1;
  if (exponent === largest) {
    if (ends === 'infinity') return fraction === 0 ? sign * Infinity : NaN;
    if (fraction === 2 ** mantissaBits - 1) return NaN;
  }
  const unit = 2 ** (Math.max(exponent, 1) - (largest - 1) / 2 - mantissaBits);
  return sign * unit * (exponent === 0 ? fraction : fraction + 2 ** mantissaBits);
}
