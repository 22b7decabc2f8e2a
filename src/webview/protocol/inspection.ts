/** What is shown of one tensor's values. */

export type InspectionView =
  | { readonly phase: 'running'; readonly fraction: number }
  | { readonly phase: 'done'; readonly statistics: StatisticsView }
  | { readonly phase: 'failed'; readonly message: string };

export interface StatisticsView {
  readonly count: number;
  readonly zeroCount: number;
  readonly nanCount: number;
  readonly infinityCount: number;
  readonly smallest: number;
  readonly largest: number;
  readonly mean: number;
  readonly deviation: number;
  readonly histogram: readonly number[];
  readonly fp8Scale: number;
  readonly atScale: CastLossView;
  readonly unscaled: CastLossView;
  /** From most to least; 1 is the mean. */
  readonly columnEnergies: readonly number[];
  readonly halfEnergyShare: number;
  /** By which the stored elements were multiplied. */
  readonly scale?: { readonly value: number; readonly tensor: string };
  /** In its place, where there are many. */
  readonly scales?: { readonly tensor: string; readonly shape: readonly number[] };
}

/** Numbers of values. */
export interface CastLossView {
  readonly underflow: number;
  readonly subnormal: number;
  readonly saturated: number;
}

export type RoundingPreviewView =
  | { readonly phase: 'running'; readonly fraction: number }
  | { readonly phase: 'done'; readonly preview: PreviewResultView }
  /** `lacks`: what would help. */
  | { readonly phase: 'failed'; readonly message: string; readonly lacks?: 'calibration file' };

export interface PreviewResultView {
  readonly nearestError: number;
  readonly rounding: 'learned' | 'tpec';
  /** What steered it. */
  readonly basis: 'weights' | 'calibration';
  /** Whether a conversion would send samples through the model besides. */
  readonly conversion: 'same' | 'adds samples';
  readonly error: number;
  /** Of `rounding`, as a share of what nearest rounding reaches. */
  readonly objectiveRatio?: number;
  readonly sweeps: number;
  readonly keptNearest: boolean;
  readonly changedShare: number;
  readonly device: string;
  readonly seconds: number;
}
