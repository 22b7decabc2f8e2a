/** VerifyEvent: the stream of one verification, and the report that ends it. */
import type { SerializedError } from '../../errors';
import type { Layout } from '../../plan/recipe';

export interface VerifyRequest {
  readonly converted: string;
  /** Absent where only its loader's rules are asked about. */
  readonly source?: string;
  /** 0 means all cores. */
  readonly threads: number;
}

/**
 * What has become of a source tensor. `corrected`: a bias that took over what rounding did to its layer. Where the source has codes, `dequantized` is the numbers that they stand for, and `migrated` codes that stand
 * for the same numbers, by scales that are stored otherwise.
 */
export type VerifiedState = 'quantized' | 'kept' | 'corrected' | 'dequantized' | 'migrated' | 'removed' | 'wrong';

/** The first of them that there are any of is what the overall error is of. */
export const MEASURED_STATES = ['quantized', 'migrated', 'dequantized'] as const satisfies readonly VerifiedState[];

export interface TensorVerification {
  readonly name: string;
  readonly state: VerifiedState;
  /** What is wrong with it, in sentences; empty for a good one. */
  readonly problems: readonly string[];
  /** Target and granularity of a quantized tensor, e.g. `int8 row`. */
  readonly encoding?: string;
  /** Where it has a single one. */
  readonly scale?: number;
  /** ‖converted − source‖_F / ‖source‖_F. */
  readonly relativeError?: number;
  readonly maxAbsoluteError?: number;
}

export interface VerifyReport {
  readonly converted: string;
  /** Absent where the file was looked at by itself: then no number was compared, and no tensor can be missed. */
  readonly source?: string;
  readonly layout: Layout | 'unknown';
  /** The version of this tool that wrote the file, where the file says so. */
  readonly writtenBy?: string;
  readonly ok: boolean;
  /** Every source tensor, in the source's order; without a source the file's own weights. */
  readonly tensors: readonly TensorVerification[];
  /** Of the file as a whole. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** Over all quantized tensors together; where there are none, over all migrated or else dequantized ones. Absent without any, and without a source. */
  readonly relativeError?: number;
  readonly seconds: number;
}

export type VerifyEvent =
  | {
      readonly type: 'progress';
      readonly fraction: number;
      readonly bytesDone: number;
      readonly bytesTotal: number;
      readonly bytesPerSecond: number;
      readonly elapsedSeconds: number;
      readonly remainingSeconds?: number;
      readonly current: readonly string[];
    }
  | { readonly type: 'tensorVerified'; readonly tensor: TensorVerification }
  | VerifyEnd;

/** Exactly one ends every verification. `done` also where the files do not belong together: see `report.ok`. */
export type VerifyEnd =
  | { readonly type: 'done'; readonly report: VerifyReport }
  | { readonly type: 'failed'; readonly error: SerializedError }
  | { readonly type: 'cancelled' };
