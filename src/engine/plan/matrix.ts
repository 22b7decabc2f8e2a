/** matrixOf: a tensor as the matrix that is quantized, out × in; a convolution as O × (I·kh·kw). */
import type { TensorInfo } from '../safetensors/header';
import type { Matrix } from './outputFormat';

export function matrixOf({ name, shape }: Pick<TensorInfo, 'name' | 'shape'>): Matrix {
  const [rows = 1, ...rest] = shape;
  return { name, shape, rows, columns: rest.reduce((product, dimension) => product * dimension, 1) };
}
