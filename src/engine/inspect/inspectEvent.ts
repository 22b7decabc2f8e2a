/** InspectEvent: what is found out about one tensor, on demand. */
import type { SerializedError } from '../errors';
import type { InspectedResult } from '../job/quantizer';
import type { Recipe } from '../plan/recipe';

export interface InspectRequest {
  readonly path: string;
  readonly tensor: string;
  /** 0 means all cores. */
  readonly threads: number;
}

export type InspectEvent =
  | { readonly type: 'progress'; readonly fraction: number }
  | { readonly type: 'done'; readonly statistics: TensorStatistics }
  | InspectInterruption;

export type InspectInterruption = { readonly type: 'failed'; readonly error: SerializedError } | { readonly type: 'cancelled' };

export interface TensorStatistics extends InspectedResult {
  /** By which the elements were multiplied; `tensor` names where it stands. Absent where elements stand for themselves. */
  readonly scale?: { readonly value: number; readonly tensor: string };
  /** In its place, where there are many of them. */
  readonly scales?: { readonly tensor: string; readonly shape: readonly number[] };
}

/** What rounding would do to one tensor, without writing anything. */
export interface PreviewRequest extends InspectRequest {
  readonly recipe: Recipe;
  /** `auto`, `cpu`, `cuda:0`, … */
  readonly device: string;
}

export type PreviewEvent =
  | { readonly type: 'progress'; readonly fraction: number }
  | { readonly type: 'done'; readonly preview: RoundingPreview }
  | InspectInterruption;

export interface RoundingPreview {
  readonly nearestError: number;
  /** The recipe's rounding; `learned` where it is nearest. */
  readonly rounding: 'learned' | 'tpec';
  /** What steered it: the weights alone, or the inputs in the calibration file. */
  readonly basis: 'weights' | 'calibration';
  /** Whether a conversion would send samples through the model besides. */
  readonly conversion: 'same' | 'adds samples';
  readonly error: number;
  /** Of `rounding`, as a share of what nearest rounding reaches. Absent where nearest reaches 0. */
  readonly objectiveRatio?: number;
  readonly sweeps: number;
  readonly keptNearest: boolean;
  /** Share of codes that differ from nearest rounding. */
  readonly changedShare: number;
  readonly device: string;
  readonly seconds: number;
}
