/**
 * Matrices of codes and scales as values, independent of the engine: the grids, the scales' forms and their order in tiles, spelled out.
 * Sources: OCP 8-bit Floating Point Specification (OFP8) 1.0; OCP Microscaling Formats (MX) 1.0; NVIDIA's cuBLAS documentation (tiles).
 */
import { E4M3_VALUES, E5M2_VALUES } from './float8';

export interface CodeMatrix {
  readonly grid: 'e4m3' | 'e5m2' | 'int8' | 'e2m1';
  readonly rows: number;
  readonly columns: number;
  /** Of the matrix of codes, with its padding. */
  readonly storedColumns: number;
  readonly codes: Uint8Array;
  /** The rectangle that shares a scale. */
  readonly block: { readonly rows: number; readonly columns: number };
  readonly scales: Uint8Array;
  readonly scaleForm: 'f32' | 'e8m0' | 'e4m3';
  readonly scaleOrder: 'plain' | 'swizzled';
  readonly tensorScale: number;
}

const E2M1_MAGNITUDES = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** Row-major, without the padding; code × scale in F32. */
export function valuesOfCodes(matrix: CodeMatrix): Float32Array {
  const { rows, columns, block } = matrix;
  const scalesPerRow = Math.ceil(columns / block.columns);
  const scales = scalesOf(matrix, Math.ceil(rows / block.rows), scalesPerRow);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const scale = scales[Math.floor(row / block.rows) * scalesPerRow + Math.floor(column / block.columns)] ?? NaN;
      values[row * columns + column] = codeValue(matrix, row, column) * scale;
    }
  }
  return values;
}

function codeValue({ grid, codes, storedColumns }: CodeMatrix, row: number, column: number): number {
  if (grid === 'e2m1') {
    const pair = codes[(row * storedColumns) / 2 + Math.floor(column / 2)] ?? NaN;
    const code = column % 2 === 0 ? pair >> 4 : pair & 0xf;
    return (code & 8 ? -1 : 1) * (E2M1_MAGNITUDES[code & 7] ?? NaN);
  }
  const code = codes[row * storedColumns + column] ?? NaN;
  if (grid === 'int8') return code > 127 ? code - 256 : code;
  return (grid === 'e4m3' ? E4M3_VALUES : E5M2_VALUES)[code] ?? NaN;
}

function scalesOf({ scales, scaleForm, scaleOrder, tensorScale }: CodeMatrix, rows: number, columns: number): Float32Array {
  const view = new DataView(scales.buffer, scales.byteOffset, scales.byteLength);
  const tilesPerRow = Math.ceil(columns / 4);
  const place = (row: number, column: number): number =>
    scaleOrder === 'plain'
      ? row * columns + column
      : (Math.floor(row / 128) * tilesPerRow + Math.floor(column / 4)) * 512 +
        (row % 32) * 16 +
        Math.floor((row % 128) / 32) * 4 +
        (column % 4);
  const valueAt = (index: number): number => {
    switch (scaleForm) {
      case 'f32':
        return view.getFloat32(4 * index, true);
      case 'e8m0':
        return 2 ** (view.getUint8(index) - 127);
      case 'e4m3':
        return Math.fround((E4M3_VALUES[view.getUint8(index)] ?? NaN) * tensorScale);
    }
  };
  return Float32Array.from({ length: rows * columns }, (_, index) => valueAt(place(Math.floor(index / columns), index % columns)));
}
