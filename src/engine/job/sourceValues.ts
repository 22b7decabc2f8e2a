/** sourceValues: a weight that is stored as codes, in the words of the quantizer. Pure. */
import type { SourceCodes } from '../plan/plan';
import type { TensorInfo } from '../safetensors/header';
import type { FileRange, StoredCodes, TensorValues } from './quantizer';

export function storedCodesOf({ weight, tensorScale }: SourceCodes): StoredCodes {
  const { rows, columns, scales, storage } = weight;
  return {
    ...storage,
    rows,
    columns,
    ...(scales === undefined ? {} : { scales: rangeOf(scales) }),
    ...(tensorScale === undefined ? {} : { tensorScale }),
  };
}

/** The dtype is not looked at beside codes. */
export function sourceValuesOf(stored: SourceCodes): TensorValues {
  return { range: rangeOf(stored.weight.codes), dtype: 'U8', scale: 1, codes: storedCodesOf(stored) };
}

export function rangeOf({ begin, end, file = 0 }: TensorInfo): FileRange {
  return { file, offset: begin, length: end - begin };
}
