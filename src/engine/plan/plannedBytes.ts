/** plannedBytes: what a tensor takes in the output, its scales included. Pure. */
import { DTYPES } from '../dtype';
import type { StoredTensor } from './outputFormat';
import type { PlannedTensor } from './plan';

export function plannedBytes({
  action,
  source,
  quantization,
  stored,
}: Pick<PlannedTensor, 'action' | 'source' | 'quantization' | 'stored'>): number {
  switch (action) {
    case 'remove':
      return 0;
    case 'keep':
      return stored === undefined ? source.end - source.begin : byteLengthOf(source);
    case 'quantize': {
      if (quantization === undefined) return 0;
      const { weight, scales, tensorScales } = quantization.stored;
      return [weight, ...scales, ...tensorScales].reduce((bytes, tensor) => bytes + byteLengthOf(tensor), 0);
    }
  }
}

export function byteLengthOf({ dtype, shape }: Pick<StoredTensor, 'dtype' | 'shape'>): number {
  return shape.reduce((product, size) => product * size, DTYPES[dtype].bits / 8);
}
