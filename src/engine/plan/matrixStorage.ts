/** MatrixStorage: how the codes and scales of one quantized matrix are written, so that whoever reads them gets the same values. */
import { TARGET_FACTS, type Encoding, type Grid } from './encoding';

export interface MatrixStorage {
  /** One byte for each code; `e2m1` two in a byte. */
  readonly grid: Grid;
  /**
   * The rectangle that shares one scale; absent: the whole matrix. Blocks at the edges may be smaller. Scales are ordered row-major:
   * ⌈rows ÷ block.rows⌉ × ⌈columns ÷ block.columns⌉.
   */
  readonly block?: { readonly rows: number; readonly columns: number };
  /** `e8m0`: a power of two as a biased byte. `e4m3`: a byte each, and one F32 scale of the tensor beside them. */
  readonly scaleForm: 'f32' | 'e8m0' | 'e4m3';
  /** `swizzled`: tiles of 128 rows × 4 columns, inside which four groups of 32 rows lie side by side; padded with zeros. */
  readonly scaleOrder: 'plain' | 'swizzled';
  /** The codes as a padded matrix, with zeros beyond the real one; absent: no padding. */
  readonly storedRows?: number;
  readonly storedColumns?: number;
  /** Of two codes in a byte, where that of the even column is. */
  readonly nibbles?: 'evenHigh' | 'evenLow';
  /** value = code × block scale × tensor scale, or ÷ tensor scale. */
  readonly tensorScaleForm?: 'factor' | 'divisor';
}

/** What follows from the encoding alone; a layout adds order, padding and packing. */
export function storageOf({ target, granularity }: Encoding, columns: number): Pick<MatrixStorage, 'grid' | 'block' | 'scaleForm'> {
  const { grid } = TARGET_FACTS[target];
  const scaleForm = target === 'mxfp8' ? 'e8m0' : target === 'nvfp4' ? 'e4m3' : 'f32';
  switch (granularity.kind) {
    case 'tensor':
      return { grid, scaleForm };
    case 'row':
      return { grid, scaleForm, block: { rows: 1, columns } };
    case 'block':
      return { grid, scaleForm, block: { rows: granularity.rows, columns: granularity.columns } };
  }
}

/** The matrix of codes as it is written. */
export function storedSize(
  { storedRows, storedColumns }: Pick<MatrixStorage, 'storedRows' | 'storedColumns'>,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): readonly [rows: number, columns: number] {
  return [storedRows ?? rows, storedColumns ?? columns];
}

/** The matrix itself, where it is written padded. */
export function paddedFrom(
  storage: Pick<MatrixStorage, 'storedRows' | 'storedColumns'>,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): { readonly paddedFrom?: readonly [rows: number, columns: number] } {
  const [tall, wide] = storedSize(storage, { rows, columns });
  return tall === rows && wide === columns ? {} : { paddedFrom: [rows, columns] };
}

/** Rows × columns of the scales, before any padding. */
export function scaleGrid(rows: number, columns: number, block: MatrixStorage['block']): readonly [number, number] {
  return block === undefined ? [1, 1] : [Math.ceil(rows / block.rows), Math.ceil(columns / block.columns)];
}

export function roundedUp(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}
