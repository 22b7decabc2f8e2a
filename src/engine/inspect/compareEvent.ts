/** CompareEvent: the stream of one comparison of two files. */
import type { Dtype } from '../dtype';
import type { SerializedError } from '../errors';

export interface CompareRequest {
  /** What errors are relative to. */
  readonly reference: string;
  readonly other: string;
  /** 0 means all cores. */
  readonly threads: number;
}

export type CompareState =
  | 'added' // only in the other file
  | 'removed' // only in the reference
  | 'reshaped'
  | 'changed' // the values differ
  | 'equal' // every value is the same, though the dtype may differ
  | 'incomparable' // for `reason`
  | 'pending'; // the values have yet to be compared

export interface TensorSide {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface ComparedTensor {
  readonly name: string;
  readonly state: CompareState;
  readonly reference?: TensorSide;
  readonly other?: TensorSide;
  readonly reason?: string;
  readonly error?: TensorError;
}

export interface TensorError {
  /** ‖other − reference‖_F / ‖reference‖_F; infinite where the reference is zero and the other is not. */
  readonly relative: number;
  /** 10·log₁₀(Σ reference² / Σ (other − reference)²) in dB; infinite for equal values. */
  readonly sqnrDecibels: number;
  readonly largest: number;
  readonly nonFiniteCount: number;
}

export type CompareEvent =
  /** First of all. Companions (scales, markers) are no rows: their weights are compared with them. */
  | { readonly type: 'paired'; readonly tensors: readonly ComparedTensor[] }
  | { readonly type: 'tensor'; readonly index: number; readonly tensor: ComparedTensor }
  | { readonly type: 'progress'; readonly fraction: number; readonly bytesPerSecond: number; readonly remainingSeconds?: number }
  /**
   * `relativeError`: of all tensors together that are quantized in either model, as a conversion's report has it; where none is, of all of
   * floating-point numbers.
   */
  | { readonly type: 'done'; readonly relativeError: number; readonly of: 'quantized' | 'all'; readonly seconds: number }
  | { readonly type: 'failed'; readonly error: SerializedError }
  | { readonly type: 'cancelled' };
