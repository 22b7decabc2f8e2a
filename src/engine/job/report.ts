/** JobReport: what a job did to every tensor, as written by `--report` and shown by the editor. */
import type { Dtype } from '../dtype';
import type { ModelSeen } from '../families/modelSeen';
import type { Action, BiasCorrectionPlan } from '../plan/plan';
import type { Recipe } from '../plan/recipe';
import type { StatisticsChoice } from '../plan/statistics';

export interface TensorReport {
  readonly name: string;
  readonly action: Action;
  readonly reason: string;
  readonly shape: readonly number[];
  readonly sourceDtype: Dtype;
  /** Absent where the tensor is removed. */
  readonly targetDtype?: Dtype;
  /** Target and granularity of a quantized tensor, e.g. `int8 row`. */
  readonly encoding?: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the whole tensor; where there are several, the smallest and the largest. */
  readonly scale?: number;
  readonly scaleRange?: { readonly smallest: number; readonly largest: number };
  readonly relativeError?: number;
  /** ‖W‖_F² of a quantized tensor. */
  readonly squaredSource?: number;
  readonly objective?: number;
  readonly objectiveNearest?: number;
  readonly objectiveLearned?: number;
  /** What steered learned rounding, and why. */
  readonly statistics?: StatisticsChoice;
  /** Of a bias that took over what rounding did to its layer's mean output. */
  readonly correction?: BiasCorrectionReport;
  readonly sweeps?: number;
  readonly keptNearest?: boolean;
  readonly changedShare?: number;
  readonly device?: string;
  readonly seconds: number;
}

export interface BiasCorrectionReport extends BiasCorrectionPlan {
  /** ‖new − old‖ ÷ ‖old‖; absent where the bias was zero. */
  readonly relativeChange?: number;
  readonly largestChange: number;
}

export interface JobReport {
  readonly tool: { readonly name: string; readonly version: string };
  readonly source: string;
  readonly output: string;
  readonly model: ModelSeen;
  readonly recipe: Recipe;
  readonly tensors: readonly TensorReport[];
  readonly summary: JobSummary;
  /** What may need the user's attention. */
  readonly warnings: readonly string[];
  /** What the recipe did not do, and why. */
  readonly notes: readonly string[];
}

export interface JobSummary {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly counts: Readonly<Record<Action, number>>;
  /** ‖Q − W‖_F / ‖W‖_F over all quantized tensors together. */
  readonly relativeError: number;
  /** Σ objective ÷ Σ objectiveNearest; absent for rounding `nearest`. */
  readonly objectiveRatio?: number;
  readonly seconds: {
    readonly total: number;
    readonly plan: number;
    /** Samples sent through the model, where statistics are propagated. */
    readonly statistics?: number;
    /** Wall time from the first task to the last. */
    readonly convert: number;
    /** fsync and rename. */
    readonly finish: number;
    /** Summed over tensors, so they may exceed the wall time. */
    readonly read: number;
    readonly compute: number;
    readonly write: number;
    /** Tensors that are kept: read and written. */
    readonly copy: number;
  };
  /** `cpu`, `cuda:0`, …, and what it calls itself. */
  readonly device: string;
  readonly deviceName: string;
  readonly threads: number;
  /** Of the engine process. */
  readonly peakMemoryBytes: number;
  /** Only where a GPU did the work. */
  readonly peakDeviceMemoryBytes?: number;
  readonly deviceBusySeconds?: number;
}
