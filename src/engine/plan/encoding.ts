/** Encoding: what a quantized matrix is made of: the grid of its codes, and which elements share a scale. */
import type { Dtype } from '../dtype';

export type Target = 'float8_e4m3fn' | 'float8_e5m2' | 'int8' | 'mxfp8' | 'nvfp4';
/** `auto` is what the layout takes for the target. */
export type GranularityName = 'auto' | 'tensor' | 'row' | 'block';
/** Rows × columns of the rectangle that shares a scale. */
export type BlockSize = readonly [number, number];

export const TARGETS: readonly Target[] = ['float8_e4m3fn', 'float8_e5m2', 'int8', 'mxfp8', 'nvfp4'];
export const GRANULARITIES: readonly GranularityName[] = ['auto', 'tensor', 'row', 'block'];
export const DEFAULT_BLOCK_SIZE: BlockSize = [128, 128];
export const MAX_BLOCK_EDGE = 1_000_000;

export type Granularity =
  { readonly kind: 'tensor' } | { readonly kind: 'row' } | { readonly kind: 'block'; readonly rows: number; readonly columns: number };

export interface Encoding {
  readonly target: Target;
  readonly granularity: Granularity;
}

/** The numbers that a code stands for. */
export type Grid = 'e4m3' | 'e5m2' | 'int8' | 'e2m1';

export interface TargetFacts {
  readonly grid: Grid;
  /** Of the tensor with the codes. */
  readonly dtype: Extract<Dtype, 'F8_E4M3' | 'F8_E5M2' | 'I8' | 'U8'>;
  /** Where the target prescribes which elements share a scale. */
  readonly block?: { readonly rows: number; readonly columns: number };
  /** For people, in short. */
  readonly word: string;
  /** Part of the name of an output. */
  readonly suffix: string;
}

export const TARGET_FACTS: Readonly<Record<Target, TargetFacts>> = {
  float8_e4m3fn: { grid: 'e4m3', dtype: 'F8_E4M3', word: 'FP8', suffix: 'fp8_e4m3fn_scaled' },
  float8_e5m2: { grid: 'e5m2', dtype: 'F8_E5M2', word: 'FP8', suffix: 'fp8_e5m2_scaled' },
  int8: { grid: 'int8', dtype: 'I8', word: 'INT8', suffix: 'int8_scaled' },
  mxfp8: { grid: 'e4m3', dtype: 'F8_E4M3', block: { rows: 1, columns: 32 }, word: 'MXFP8', suffix: 'mxfp8' },
  nvfp4: { grid: 'e2m1', dtype: 'U8', block: { rows: 1, columns: 16 }, word: 'NVFP4', suffix: 'nvfp4' },
};

/** For people: `one scale for each row`. */
export function granularityText(granularity: Granularity): string {
  switch (granularity.kind) {
    case 'tensor':
      return 'one scale for the whole tensor';
    case 'row':
      return 'one scale for each row';
    case 'block':
      return `one scale for each block of ${granularity.rows} × ${granularity.columns}`;
  }
}

/** As it is written on the command line: `tensor`, `row`, `block:128x128`. */
export function granularityName(granularity: Granularity): string {
  return granularity.kind === 'block' ? `block:${granularity.rows}x${granularity.columns}` : granularity.kind;
}

export function sameEncoding(a: Encoding, b: Encoding): boolean {
  return a.target === b.target && granularityName(a.granularity) === granularityName(b.granularity);
}
