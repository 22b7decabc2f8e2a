/** sourceValues: a weight that is stored as codes, in the words of the quantizer. Pure. */
import type { SourceCodes } from '../plan/plan';
import type { StoredWeight } from '../plan/stored/storedWeight';
import type { TensorInfo } from '../safetensors/header';
import type { FileRange, StoredCodes, TensorValues } from './quantizer';

/** `firstFile`: the number of the first of its model's files. */
export function storedCodesOf({ weight, tensorScale }: SourceCodes, firstFile = 0): StoredCodes {
  const { scales } = weight;
  return codesOf(weight, { ...(scales === undefined ? {} : { scales: rangeOf(scales, firstFile) }), ...numberOf(tensorScale) });
}

/** Codes as `storage` says, of a matrix of rows × columns. `tensorScale` is a factor, whatever form the file has it in. */
export function codesOf(
  { storage, rows, columns }: Pick<StoredWeight, 'storage' | 'rows' | 'columns'>,
  scales: Pick<StoredCodes, 'scales' | 'tensorScale'>,
): StoredCodes {
  return { ...storage, rows, columns, ...scales };
}

function numberOf(tensorScale: number | undefined): Pick<StoredCodes, 'tensorScale'> {
  return tensorScale === undefined ? {} : { tensorScale };
}

/** The dtype is not looked at beside codes. */
export function sourceValuesOf(stored: SourceCodes, firstFile = 0): TensorValues {
  return { range: rangeOf(stored.weight.codes, firstFile), dtype: 'U8', scale: 1, codes: storedCodesOf(stored, firstFile) };
}

export function rangeOf({ begin, end, file = 0 }: TensorInfo, firstFile = 0): FileRange {
  return { file: firstFile + file, offset: begin, length: end - begin };
}
