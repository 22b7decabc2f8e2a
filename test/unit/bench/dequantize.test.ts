import { describe, expect, it } from 'vitest';
import { scaleOf, weightValues } from '../../../bench/model/dequantize';
import type { TensorFile } from '../../../bench/model/tensorFile';
import type { Dtype } from '../../../src/engine/dtype';
import type { TensorInfo } from '../../../src/engine/safetensors/header';

/** 1, 2, −1, 0.5 in E4M3. */
const CODES = new Uint8Array([0x38, 0x40, 0xb8, 0x30]);

describe('weightValues', () => {
  it('multiplies codes by the scale of the tensor, under either name', () => {
    for (const name of ['layer.weight_scale', 'layer.scale_weight']) {
      const file = fileOf([codes(), scales(name, [], [3])]);
      expect(scaleOf(file, 'layer.weight')?.name).toBe(name);
      expect([...weightValues(file, 'layer.weight')]).toEqual([3, 6, -3, 1.5]);
    }
  });

  it('multiplies each row by its own scale', () => {
    const file = fileOf([codes(), scales('layer.weight_scale', [2, 1], [2, 4])]);
    expect([...weightValues(file, 'layer.weight')]).toEqual([2, 4, -4, 2]);
  });

  it('gives stored values where there is no scale', () => {
    expect([...weightValues(fileOf([codes()]), 'layer.weight')]).toEqual([1, 2, -1, 0.5]);
  });

  it('refuses scales that it cannot place', () => {
    const file = fileOf([codes(), scales('layer.weight_scale', [3], [1, 2, 3])]);
    expect(() => weightValues(file, 'layer.weight')).toThrow('layer.weight_scale has shape [3]');
  });
});

interface Part {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

function codes(): Part {
  return { name: 'layer.weight', dtype: 'F8_E4M3', shape: [2, 2], bytes: CODES };
}

function scales(name: string, shape: readonly number[], values: readonly number[]): Part {
  return { name, dtype: 'F32', shape, bytes: new Uint8Array(new Float32Array(values).buffer) };
}

/** The parts one after the other; a header is beside them, not in the bytes. */
function fileOf(parts: readonly Part[]): TensorFile {
  let end = 0;
  const tensors: TensorInfo[] = parts.map(({ name, dtype, shape, bytes }) => {
    const begin = end;
    end += bytes.length;
    return { name, dtype, shape, begin, end };
  });
  return {
    path: 'made.safetensors',
    header: { tensors, byName: new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata: new Map(), dataStart: 0, fileSize: end },
    bytes: Buffer.concat(parts.map((part) => part.bytes)),
  };
}
