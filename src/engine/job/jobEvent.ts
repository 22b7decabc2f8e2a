/** JobEvent: the one stream that the CLI prints, the engine process sends and the editor folds into its view. */
import type { SerializedError } from '../errors';
import type { ModelSeen } from '../families/modelSeen';
import type { Action } from '../plan/plan';
import type { SteeringGroup } from '../plan/steering';
import type { JobReport, TensorReport } from './report';

export type JobEvent =
  | {
      readonly type: 'planned';
      readonly source: string;
      readonly output: string;
      readonly device: string;
      readonly model: ModelSeen;
      readonly bytesIn: number;
      readonly bytesOut: number;
      readonly counts: Readonly<Record<Action, number>>;
      /** Of learned rounding, for the device that does it. */
      readonly steering: readonly SteeringGroup[];
    }
  | { readonly type: 'tensorStarted'; readonly name: string }
  | { readonly type: 'tensorFinished'; readonly tensor: TensorReport }
  | JobProgress
  | { readonly type: 'warning'; readonly message: string; readonly tensor?: string }
  | { readonly type: 'log'; readonly message: string }
  | JobEnd;

/** May be merged or dropped; every other event may not. */
export interface JobProgress {
  readonly type: 'progress';
  /** 0–1, weighed by estimated work. */
  readonly fraction: number;
  /** Source bytes of finished work. */
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly bytesPerSecond: number;
  readonly elapsedSeconds: number;
  /** Absent until there is something to extrapolate from. */
  readonly remainingSeconds?: number;
  readonly tensorsDone: number;
  readonly tensorsTotal: number;
  /** Names of the tensors being worked on. */
  readonly current: readonly string[];
}

/** Exactly one ends every job. */
export type JobEnd =
  | { readonly type: 'done'; readonly report: JobReport }
  | { readonly type: 'failed'; readonly error: SerializedError }
  | { readonly type: 'cancelled' };
