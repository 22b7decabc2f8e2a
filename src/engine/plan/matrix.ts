/** matrixOf: a tensor as the matrix that is quantized, out × in; a convolution as O × (I·kh·kw), a stack of experts [E, O, I] as (E·O) × I. */
import type { TensorInfo } from '../safetensors/header';
import type { Matrix } from './outputFormat';

export function matrixOf(tensor: Pick<TensorInfo, 'name' | 'shape'>): Matrix {
  const { name, shape } = tensor;
  const [rows = 1, ...rest] = shape;
  const experts = expertsOf(tensor);
  if (experts !== undefined) return { name, shape, rows: experts.count * experts.rows, columns: experts.columns, experts: experts.count };
  return { name, shape, rows, columns: rest.reduce((product, dimension) => product * dimension, 1) };
}

/** Of a tensor that holds the matrices of several experts, one behind the other; only its name tells it from a 1-D convolution. */
export function expertsOf({
  name,
  shape,
}: Pick<TensorInfo, 'name' | 'shape'>): { readonly count: number; readonly rows: number; readonly columns: number } | undefined {
  const [count, rows, columns, ...more] = shape;
  if (count === undefined || rows === undefined || columns === undefined || more.length > 0) return undefined;
  return /(^|[._])(experts?|block_sparse_moe)[._]/.test(name) ? { count, rows, columns } : undefined;
}

export function isConvolution(tensor: Pick<TensorInfo, 'name' | 'shape'>): boolean {
  const rank = tensor.shape.length;
  return rank >= 3 && rank <= 5 && expertsOf(tensor) === undefined;
}

export type ExpertOrder = 'outputs first' | 'inputs first' | 'unknown';

/**
 * Of one of the stacks `gate_up_proj` and `down_proj`: [E, 2I, H] and [E, H, I] begin with outputs, as in most models of transformers, [E, H, 2I] and
 * [E, I, H] with inputs, as in Llama 4 and GPT-OSS. No two shapes fit both.
 */
export function expertOrder(tensor: Pick<TensorInfo, 'name' | 'shape'>, partner: Pick<TensorInfo, 'shape'> | undefined): ExpertOrder {
  const shapes = [tensor.shape, partner?.shape ?? []];
  const [[count, first, second, ...more] = [], [otherCount, third, fourth, ...others] = []] = tensor.name.endsWith('.gate_up_proj')
    ? shapes
    : shapes.reverse();
  if (first === undefined || second === undefined || third === undefined || fourth === undefined) return 'unknown';
  if (more.length > 0 || others.length > 0 || count !== otherCount) return 'unknown';
  if (first === 2 * fourth && second === third) return 'outputs first';
  return second === 2 * third && first === fourth ? 'inputs first' : 'unknown';
}
