/** Whatever is laid out can be read back: same names, dtypes, shapes, metadata and ranges. */
import { describe, expect, it } from 'vitest';
import { DTYPES, type Dtype } from '../../../../src/engine/dtype';
import { EngineError } from '../../../../src/engine/errors';
import { layOut, type LayoutTensor } from '../../../../src/engine/safetensors/layout';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { byteLengthOf } from '../../../support/headerOf';

const DTYPE_NAMES = Object.keys(DTYPES) as readonly Dtype[];

/** A small linear congruential generator: the cases are the same on every run. */
function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomTensors(seed: number): LayoutTensor[] {
  const below = randomIntegers(seed);
  return Array.from({ length: below(20) }, (_, index) => {
    const dtype = DTYPE_NAMES[below(DTYPE_NAMES.length)]!;
    // Whole bytes even for dtypes of 4 and 6 bits.
    const shape = Array.from({ length: below(4) }, () => below(4)).concat(DTYPES[dtype].bits < 8 ? [4] : []);
    return { name: `é "${index}"\n\u2028\\`, dtype, shape, byteLength: byteLengthOf(dtype, shape) };
  });
}

describe('a layout', () => {
  it.each(Array.from({ length: 200 }, (_, seed) => seed))('can be read back and is aligned (seed %i)', (seed) => {
    const tensors = randomTensors(seed);
    const metadata = new Map(seed % 3 === 0 ? [] : [['format', 'pt'] as const, ['__proto__', '"\\ \u0001'] as const]);
    const layout = layOut(tensors, metadata);
    const header = parseHeader(layout.headerBytes, layout.fileSize);
    expect(header.dataStart).toBe(layout.headerBytes.length);
    expect(header.dataStart % 8).toBe(0);
    expect([...header.metadata]).toEqual([...metadata]);
    expect(header.tensors.length).toBe(tensors.length);
    for (const placed of layout.tensors) {
      const { name, dtype, shape, begin, end } = placed;
      expect(header.byName.get(name)).toEqual({ name, dtype, shape, begin, end });
      expect(begin % Math.max(1, DTYPES[dtype].bits / 8)).toBe(0);
    }
  });

  it('puts wide elements first, and keeps the given order among equals', () => {
    const tensor = (name: string, dtype: Dtype): LayoutTensor => ({ name, dtype, shape: [3], byteLength: byteLengthOf(dtype, [3]) });
    const given = [
      tensor('a', 'U8'),
      tensor('b', 'BF16'),
      tensor('c', 'F32'),
      tensor('d', 'F8_E4M3'),
      tensor('e', 'F16'),
      tensor('f', 'I64'),
    ];
    expect(layOut(given, new Map()).tensors.map(({ name }) => name)).toEqual(['f', 'c', 'b', 'e', 'a', 'd']);
  });

  it('writes the digits of a dimension that no number can hold', () => {
    const exactShape = ['0', '18446744073709551615'];
    const { headerBytes, fileSize } = layOut(
      [{ name: 'x', dtype: 'F32', shape: exactShape.map(Number), exactShape, byteLength: 0 }],
      new Map(),
    );
    expect(parseHeader(headerBytes, fileSize).tensors[0]?.exactShape).toEqual(exactShape);
  });

  it('carries whatever else the caller gave with a tensor', () => {
    const { tensors } = layOut([{ name: 'x', dtype: 'U8' as const, shape: [1], byteLength: 1, origin: 'here' }], new Map());
    expect(tensors[0]?.origin).toBe('here');
  });

  it('refuses a header that the format does not allow', () => {
    const metadata = new Map([['long', 'x'.repeat(100_000_000)]]);
    expect(() => layOut([], metadata)).toThrow(EngineError);
    expect(() => layOut([], metadata)).toThrow(/header would have 100,000,0\d\d bytes/);
  });
});
