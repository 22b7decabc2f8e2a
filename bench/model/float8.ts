/**
 * The reference cast to E4M3, independent of the engine: a table of the decoded values and the exact midpoints between them.
 * It is slow and obvious, so that the engine's fast encoders have something to be compared with.
 * Source: OCP 8-bit Floating Point Specification (OFP8), revision 1.0.
 */

const SIGN = 0x80;
const NAN_CODE = 0x7f;
const LARGEST_CODE = 0x7e;

/** The value of each of the 256 codes; NaN for 0x7F and 0xFF. */
export const E4M3_VALUES: readonly number[] = Array.from({ length: 256 }, (_, code) => decodedE4m3(code));

/** The value of each of the 256 codes of E5M2, with its infinities and NaNs. */
export const E5M2_VALUES: readonly number[] = Array.from({ length: 256 }, (_, code) => decodedE5m2(code));

/** MIDPOINTS[c] lies halfway between the magnitudes of the codes c and c + 1; a double holds it exactly. */
const MIDPOINTS: readonly number[] = Array.from({ length: LARGEST_CODE }, (_, code) => (valueOf(code) + valueOf(code + 1)) / 2);

/** The code of the nearest representable value, ties to the even code; beyond ±448 the largest code; NaN stays NaN. */
export function castToE4m3(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? SIGN : 0;
  if (Number.isNaN(value)) return NAN_CODE;
  const magnitude = Math.abs(value);
  const below = countBelow(MIDPOINTS, magnitude);
  const tie = MIDPOINTS[below] === magnitude;
  return sign | (tie && below % 2 === 1 ? below + 1 : below);
}

/** Casts `weights / scale`, the quotient rounded to F32 first: what PyTorch's `(w.float() / scale).clamp(-448, 448).to(float8_e4m3fn)` gives. */
export function castScaledToE4m3(weights: Float32Array, scale: number): Uint8Array {
  return Uint8Array.from(weights, (weight) => castToE4m3(Math.fround(weight / scale)));
}

/** How many entries of an ascending list are less than `value`. */
function countBelow(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? Infinity) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function valueOf(code: number): number {
  return E4M3_VALUES[code] ?? NaN;
}

function decodedE4m3(code: number): number {
  const sign = (code & SIGN) === 0 ? 1 : -1;
  const exponent = (code >> 3) & 0xf;
  const mantissa = code & 0x7;
  if (exponent === 0xf && mantissa === 0x7) return NaN;
  return exponent === 0 ? sign * (mantissa / 8) * 2 ** -6 : sign * (1 + mantissa / 8) * 2 ** (exponent - 7);
}

function decodedE5m2(code: number): number {
  const sign = (code & SIGN) === 0 ? 1 : -1;
  const exponent = (code >> 2) & 0x1f;
  const mantissa = code & 0x3;
  if (exponent === 0x1f) return mantissa === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * (mantissa / 4) * 2 ** -14 : sign * (1 + mantissa / 4) * 2 ** (exponent - 15);
}
