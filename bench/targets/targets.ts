/** What the benchmark of targets quantizes to: each grid with the granularities that loaders take. */
import type { CodeStorage } from '../../src/engine/job/quantizer';

export interface Target {
  readonly name: string;
  readonly bits: number;
  /** For a matrix of rows × columns. */
  readonly storage: (rows: number, columns: number) => CodeStorage;
}

type Shaped = (rows: number, columns: number) => CodeStorage;

const tensor =
  (grid: 'e4m3' | 'e5m2' | 'int8'): Shaped =>
  () => ({ grid });
const row =
  (grid: 'e4m3' | 'e5m2' | 'int8'): Shaped =>
  (_, columns) => ({ grid, block: { rows: 1, columns } });
const block =
  (grid: 'e4m3' | 'e5m2' | 'int8'): Shaped =>
  () => ({ grid, block: { rows: 128, columns: 128 } });

export const TARGETS: readonly Target[] = [
  { name: 'E4M3, tensor', bits: 8, storage: tensor('e4m3') },
  { name: 'E4M3, row', bits: 8, storage: row('e4m3') },
  { name: 'E4M3, block 128 × 128', bits: 8, storage: block('e4m3') },
  { name: 'MXFP8', bits: 8.25, storage: mxfp8 },
  { name: 'E5M2, tensor', bits: 8, storage: tensor('e5m2') },
  { name: 'E5M2, row', bits: 8, storage: row('e5m2') },
  { name: 'E5M2, block 128 × 128', bits: 8, storage: block('e5m2') },
  { name: 'INT8, tensor', bits: 8, storage: tensor('int8') },
  { name: 'INT8, row', bits: 8, storage: row('int8') },
  { name: 'INT8, block 128 × 128', bits: 8, storage: block('int8') },
  { name: 'NVFP4', bits: 4.5, storage: nvfp4 },
];

function mxfp8(rows: number, columns: number): CodeStorage {
  return {
    grid: 'e4m3',
    block: { rows: 1, columns: 32 },
    scaleForm: 'e8m0',
    scaleOrder: 'swizzled',
    storedRows: multiple(rows, 32),
    storedColumns: multiple(columns, 32),
  };
}

function nvfp4(rows: number, columns: number): CodeStorage {
  return {
    grid: 'e2m1',
    block: { rows: 1, columns: 16 },
    scaleForm: 'e4m3',
    scaleOrder: 'swizzled',
    storedRows: multiple(rows, 16),
    storedColumns: multiple(columns, 16),
  };
}

export function multiple(value: number, of: number): number {
  return Math.ceil(value / of) * of;
}
