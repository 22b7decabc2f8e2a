/** Models of random BF16 weights, the same every time. */
import { open } from 'node:fs/promises';
import { layOut } from '../../src/engine/safetensors/layout';

const PIECE_ELEMENTS = 1 << 22;

export interface RandomTensor {
  readonly name: string;
  readonly dtype: 'BF16';
  readonly shape: readonly number[];
  readonly byteLength: number;
}

export interface RandomModel {
  readonly parameters: number;
  readonly fileSize: number;
}

export function randomTensor(name: string, shape: readonly number[]): RandomTensor {
  return { name, dtype: 'BF16', shape, byteLength: 2 * shape.reduce((product, dimension) => product * dimension, 1) };
}

export async function writeRandomModel(path: string, list: readonly RandomTensor[]): Promise<RandomModel> {
  const { headerBytes, tensors, fileSize } = layOut(list, new Map([['format', 'pt']]));
  const values = normalBfloat16(PIECE_ELEMENTS);
  const file = await open(path, 'w');
  try {
    await file.write(headerBytes, 0, headerBytes.length, 0);
    for (const { begin, end } of tensors) {
      for (let position = begin, piece = 0; position < end; piece++) {
        // Every piece begins elsewhere in the values, so that no two rows of a matrix are alike.
        const start = 2 * ((piece * 1_299_709 + begin) % (PIECE_ELEMENTS / 2));
        const length = Math.min(end - position, values.length - start);
        await file.write(values, start, length, position);
        position += length;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { parameters: tensors.reduce((sum, { byteLength }) => sum + byteLength / 2, 0), fileSize };
}

/** Standard deviation 0.02, as trained weights have it. Truncated to BF16. */
function normalBfloat16(count: number): Uint8Array {
  const bytes = new Uint8Array(2 * count);
  const bits = new Uint16Array(bytes.buffer);
  const float = new Float32Array(1);
  const floatBits = new Uint32Array(float.buffer);
  let state = 1;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  for (let i = 0; i < count; i++) {
    // Box and Muller.
    float[0] = 0.02 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
    bits[i] = (floatBits[0] ?? 0) >>> 16;
  }
  return bytes;
}
