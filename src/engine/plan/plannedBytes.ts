/** plannedBytes: what a tensor takes in the output, its scale included. Pure. */
import type { PlannedTensor } from './plan';

export function plannedBytes({ action, source, quantization }: PlannedTensor): number {
  switch (action) {
    case 'remove':
      return 0;
    case 'keep':
      return source.end - source.begin;
    case 'quantize':
      return quantization === undefined ? 0 : quantization.rows * quantization.columns + 4 * quantization.scaleNames.length;
  }
}
