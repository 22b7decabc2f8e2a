import { describe, expect, it } from 'vitest';
import { castScaledToE4m3, castToE4m3, E4M3_VALUES, E5M2_VALUES } from '../../../bench/model/float8';

/** Every finite E4M3 magnitude, ascending, by code. */
const MAGNITUDES = E4M3_VALUES.slice(0, 0x7f);

describe('E4M3_VALUES', () => {
  it('has the values of the specification', () => {
    expect([0x00, 0x01, 0x07, 0x08, 0x38, 0x39, 0x7e].map((code) => E4M3_VALUES[code])).toEqual([
      0,
      2 ** -9,
      7 * 2 ** -9,
      2 ** -6,
      1,
      1.125,
      448,
    ]);
    expect(E4M3_VALUES[0x7f]).toBeNaN();
    expect(E4M3_VALUES[0xff]).toBeNaN();
  });

  it('mirrors every magnitude, zero included', () => {
    MAGNITUDES.forEach((magnitude, code) => expect(E4M3_VALUES[code | 0x80]).toBe(-magnitude));
  });
});

describe('E5M2_VALUES', () => {
  it('has the values of the specification', () => {
    expect([0x00, 0x01, 0x04, 0x3c, 0x7b, 0x7c, 0xfc].map((code) => E5M2_VALUES[code])).toEqual([
      0,
      2 ** -16,
      2 ** -14,
      1,
      57344,
      Infinity,
      -Infinity,
    ]);
    expect(E5M2_VALUES[0x7d]).toBeNaN();
  });
});

describe('castToE4m3', () => {
  it('gives every representable value its own code', () => {
    MAGNITUDES.forEach((magnitude, code) => {
      expect(castToE4m3(magnitude)).toBe(code);
      expect(castToE4m3(-magnitude)).toBe(code | 0x80);
    });
  });

  it('takes the even code at every midpoint, and the nearer one a hair beside it', () => {
    for (let code = 0; code < 0x7e; code += 1) {
      const middle = (MAGNITUDES[code]! + MAGNITUDES[code + 1]!) / 2;
      const hair = middle * 2 ** -40;
      expect(castToE4m3(middle)).toBe(code % 2 === 0 ? code : code + 1);
      expect(castToE4m3(middle - hair)).toBe(code);
      expect(castToE4m3(middle + hair)).toBe(code + 1);
    }
  });

  it('saturates beyond the largest value and keeps NaN', () => {
    expect([449, 480, 1e30, Infinity].map(castToE4m3)).toEqual([0x7e, 0x7e, 0x7e, 0x7e]);
    expect([-464, -Infinity].map(castToE4m3)).toEqual([0xfe, 0xfe]);
    expect(castToE4m3(NaN)).toBe(0x7f);
  });
});

describe('castScaledToE4m3', () => {
  it('rounds the quotient to F32 before it rounds it to FP8', () => {
    // In double the quotient lies just above the midpoint of 1 and 1.125; F32 rounds it onto the midpoint, which goes to the even code of 1.
    const scale = Math.fround(1 / 3);
    const above = nextAfterQuotient(1.0625, scale);
    expect(above / scale).toBeGreaterThan(1.0625);
    expect(Math.fround(above / scale)).toBe(1.0625);
    expect(castToE4m3(above / scale)).toBe(0x39);
    expect(castScaledToE4m3(new Float32Array([above]), scale)).toEqual(new Uint8Array([0x38]));
  });
});

/** The smallest F32 value whose quotient by `scale` is above `quotient` in double. */
function nextAfterQuotient(quotient: number, scale: number): number {
  const value = new Float32Array([quotient * scale]);
  const bits = new Uint32Array(value.buffer);
  while (value[0]! / scale > quotient) bits[0]! -= 1;
  while (value[0]! / scale <= quotient) bits[0]! += 1;
  return value[0]!;
}
