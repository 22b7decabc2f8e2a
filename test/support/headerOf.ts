/** headerOf: the Header of a file with the given tensors, without the file. */
import { DTYPES, type Dtype } from '../../src/engine/dtype';
import type { Header } from '../../src/engine/safetensors/header';
import { layOut } from '../../src/engine/safetensors/layout';
import { parseHeader } from '../../src/engine/safetensors/parseHeader';

/** Dtype and dimensions, e.g. `['BF16', 3072, 3072]`. */
export type TensorSpec = readonly [Dtype, ...number[]];

export function headerOf(tensors: Readonly<Record<string, TensorSpec>>, metadata: Readonly<Record<string, string>> = {}): Header {
  const { headerBytes, fileSize } = layOut(
    Object.entries(tensors).map(([name, [dtype, ...shape]]) => ({ name, dtype, shape, byteLength: byteLengthOf(dtype, shape) })),
    new Map(Object.entries(metadata)),
  );
  return parseHeader(headerBytes, fileSize);
}

export function byteLengthOf(dtype: Dtype, shape: readonly number[]): number {
  return (shape.reduce((product, dimension) => product * dimension, 1) * DTYPES[dtype].bits) / 8;
}
