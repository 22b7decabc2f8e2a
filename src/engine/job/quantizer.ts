/** Quantizer: the seam between a job and whatever computes it. The job knows this interface, never the addon. */
import type { SourceDtype, ValueDtype } from '../dtype';
import type { Rounding } from '../plan/recipe';

/** Bytes of file `file` (an index into `QuantizerJob.files`), from its start. */
export interface FileRange {
  readonly file: number;
  readonly offset: number;
  readonly length: number;
}

export type QuantizerTask =
  | CopyTask
  | QuantizeTask
  | DequantizeTask
  | CompareTask
  | InspectTask
  | DifferenceTask
  | PropagateTask
  | CorrectBiasTask
  | CheckStatisticsTask;

/** Copies a source range to `outputOffset` of the output file. */
export interface CopyTask {
  readonly kind: 'copy';
  readonly id: number;
  readonly name: string;
  readonly source: FileRange;
  readonly outputOffset: number;
}

/**
 * One term of what is known of a layer's inputs or outputs, which have `size` elements each. `samples` are samples × size values, row-major;
 * a `secondMoment` is size × size; a `diagonal` is its `size` entries; `gram` is that of the weights themselves.
 */
export type StatisticsTerm =
  | { readonly kind: 'gram'; readonly weight: number }
  | { readonly kind: 'samples' | 'secondMoment' | 'diagonal'; readonly weight: number; readonly values: TensorValues };

/** Σ weight · term, each term with a mean diagonal of 1, divided by Σ weight, plus damping · I. */
export interface Statistics {
  readonly terms: readonly StatisticsTerm[];
  readonly damping: number;
}

/**
 * The values that codes stand for before their scale: OFP8's E4M3 and E5M2, whole numbers within ±127, and E2M1 (0, ½, 1, 1½, 2, 3, 4, 6).
 * One byte each; `e2m1` takes half of one.
 */
export type CodeGrid = 'e4m3' | 'e5m2' | 'int8' | 'e2m1';

/**
 * How scales are stored: as F32; as the biased exponent of a power of two in one byte; as E4M3, one byte each, times one F32 scale of the
 * whole tensor.
 */
export type ScaleForm = 'f32' | 'e8m0' | 'e4m3';

/** `swizzled`: in tiles of 128 × 4 scales, as 32 rows of 4 × 4, padded with zeros to whole tiles. */
export type ScaleOrder = 'plain' | 'swizzled';

/** How a matrix is stored as codes and scales. What is left out: one F32 scale and E4M3 codes, as many as there are elements. */
export interface CodeStorage {
  readonly grid?: CodeGrid;
  /**
   * The rectangle that shares a scale, smaller at the edges; without it, the whole matrix. A row is 1 × columns. Scales are in row-major order,
   * ⌈rows ÷ block.rows⌉ × ⌈columns ÷ block.columns⌉.
   */
  readonly block?: { readonly rows: number; readonly columns: number };
  readonly scaleForm?: ScaleForm;
  readonly scaleOrder?: ScaleOrder;
  /** The matrix of codes where it is padded with zeros. */
  readonly storedRows?: number;
  readonly storedColumns?: number;
  /** Of two `e2m1` codes in a byte, where that of the even column is; without it, in the high nibble. */
  readonly nibbles?: 'evenHigh' | 'evenLow';
  /** What is written as the scale of the tensor: the factor, or what to divide by, which is then a power of two. */
  readonly tensorScaleForm?: 'factor' | 'divisor';
}

/**
 * Quantizes one matrix; codes go to `weightOffset`, its scales to each of `scaleOffsets` of the output file, and the F32 scale of the tensor,
 * where the scales are E4M3, to each of `tensorScaleOffsets`. Rounding `tpec` knows one F32 scale and E4M3 only.
 */
export interface QuantizeTask extends CodeStorage {
  readonly kind: 'quantize';
  readonly id: number;
  readonly name: string;
  readonly source: FileRange;
  readonly dtype: SourceDtype;
  /** Where the source is quantized itself: `source` is where its codes are, and `dtype` is F32. */
  readonly codes?: StoredCodes;
  readonly rows: number;
  readonly columns: number;
  readonly weightOffset: number;
  readonly scaleOffsets: readonly number[];
  readonly tensorScaleOffsets?: readonly number[];
  readonly rounding: Rounding;
  /** 0 means full rank. */
  readonly topK: number;
  readonly numIter: number;
  readonly seed: number;
  /** H, which input directions matter; by default gram with damping 1. */
  readonly inputs?: Statistics;
  /** G, which outputs matter; without it each counts the same and for itself. */
  readonly outputs?: Statistics;
}

/** A matrix of codes in a file, with the scales that make values of them: code × scale × tensorScale. */
export interface StoredCodes extends Omit<CodeStorage, 'scaleForm'> {
  readonly rows: number;
  readonly columns: number;
  /** Without them every code stands for itself. */
  readonly scales?: FileRange;
  /** Files of other tools may hold scales in two bytes. */
  readonly scaleForm?: ScaleForm | 'f16' | 'bf16';
  readonly tensorScale?: number;
}

/**
 * Compares a converted tensor with its source. With `codes` or `scale`, dequantized against the source's values; else byte for byte. `scale`
 * is short for E4M3 codes with this one scale. Reads only.
 */
export interface CompareTask {
  readonly kind: 'compare';
  readonly id: number;
  readonly name: string;
  readonly converted: FileRange;
  readonly source: FileRange;
  readonly dtype: SourceDtype;
  readonly rows: number;
  readonly columns: number;
  readonly scale?: number;
  readonly codes?: StoredCodes;
  /** Where the source is quantized itself: `source` is where its codes are, and `dtype` is F32. */
  readonly sourceCodes?: StoredCodes;
}

/** Writes a tensor's values as numbers of `dtype` to `outputOffset`, each rounded once. Runs on the device `cpu`, and ends in `copied`. */
export interface DequantizeTask {
  readonly kind: 'dequantize';
  readonly id: number;
  readonly name: string;
  readonly values: TensorValues;
  readonly dtype: SourceDtype;
  readonly outputOffset: number;
}

/** A tensor's values: element × scale; with `codes`, those of its rows × columns codes × their scales × `scale`, whatever the `dtype`. */
export interface TensorValues {
  readonly range: FileRange;
  readonly dtype: ValueDtype;
  readonly scale: number;
  readonly codes?: StoredCodes;
}

/**
 * Sends seeded samples through a model's own weights, and writes where they get to. Ends in `copied`.
 * Registers hold one vector for each sample; `a` and `b` are read, `out` is written and may be one of them.
 */
export interface PropagateTask {
  readonly kind: 'propagate';
  readonly id: number;
  readonly name: string;
  readonly samples: number;
  readonly seed: number;
  readonly registerCount: number;
  readonly steps: readonly PropagateStep[];
}

export type PropagateStep =
  /** Rows of a table at random. */
  | { readonly kind: 'gather'; readonly out: number; readonly rows: number; readonly weight: TensorValues }
  /** `rows` standard normal values; or the cosines and then the sines of a moment between 0 and 1000, as diffusion models tell their time. */
  | { readonly kind: 'noise' | 'time'; readonly out: number; readonly rows: number }
  | {
      readonly kind: 'linear';
      readonly out: number;
      readonly a: number;
      readonly rows: number;
      readonly weight: TensorValues;
      readonly bias?: TensorValues;
    }
  | {
      readonly kind: 'rmsNorm' | 'layerNorm';
      readonly out: number;
      readonly a: number;
      readonly weight?: TensorValues;
      readonly bias?: TensorValues;
    }
  | {
      readonly kind: 'activate';
      readonly out: number;
      readonly a: number;
      readonly activation: 'silu' | 'gelu' | 'geluTanh' | 'quickGelu';
    }
  /** `modulate` is a · (1 + b). */
  | { readonly kind: 'multiply' | 'add' | 'modulate'; readonly out: number; readonly a: number; readonly b: number }
  /** Values part · rows to (part + 1) · rows of each sample. */
  | { readonly kind: 'slice'; readonly out: number; readonly a: number; readonly rows: number; readonly part: number }
  /** Each sample gets another's values. */
  | { readonly kind: 'shuffle'; readonly out: number; readonly a: number }
  /** Each group of `rows` elements `times` times in a row. */
  | { readonly kind: 'repeatHeads'; readonly out: number; readonly a: number; readonly rows: number; readonly times: number }
  /** The F32 mean of each element, and BF16 samples or the F32 second moment. */
  | {
      readonly kind: 'store';
      readonly a: number;
      readonly meanOffset: number;
      readonly offset: number;
      readonly as: 'samples' | 'secondMoment';
    };

/**
 * Writes bias + (weights − codes) · mean of `inputs` to `outputOffset`, in the dtype of the bias, where it is finite. `inputs` are any number of
 * vectors of `columns` values. Runs on the device `cpu`, and ends in `compared`: what was written against the bias.
 */
export interface CorrectBiasTask {
  readonly kind: 'correctBias';
  readonly id: number;
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly weights: TensorValues;
  readonly codes: TensorValues;
  readonly inputs: TensorValues;
  readonly bias: TensorValues;
  readonly outputOffset: number;
}

/** Describes the values of one tensor. Reads only, and runs on the device `cpu`. */
export interface InspectTask {
  readonly kind: 'inspect';
  readonly id: number;
  readonly name: string;
  readonly values: TensorValues;
  /** The matrix view: the first dimension, and all others together. */
  readonly rows: number;
  readonly columns: number;
}

/** Compares the values of two tensors of equally many elements, whatever their dtypes; ends in `compared`. Reads only, and runs on `cpu`. */
export interface DifferenceTask {
  readonly kind: 'difference';
  readonly id: number;
  readonly name: string;
  /** What the error is relative to. */
  readonly reference: TensorValues;
  readonly other: TensorValues;
}

/**
 * Whether recorded statistics can steer rounding. A `secondMoment` must be one, and is tried with the damping that it will have, in units of its
 * mean diagonal. Reads only, and runs on the device `cpu`, whatever the conversion runs on; ends in `checked`.
 */
export interface CheckStatisticsTask {
  readonly kind: 'checkStatistics';
  readonly id: number;
  readonly name: string;
  /** As a StatisticsTerm, or the mean of vectors. */
  readonly form: 'samples' | 'secondMoment' | 'diagonal' | 'mean';
  readonly values: TensorValues;
  /** Values in each row. */
  readonly size: number;
  readonly damping: number;
}

export interface QuantizerJob {
  /** Files that are read. */
  readonly files: readonly string[];
  /** The file that is written: it exists and has its final size. Absent where every task only reads. */
  readonly output?: string;
  readonly tasks: readonly QuantizerTask[];
  /** `auto`, `cpu`, `cuda:0`, … */
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
}

export type QuantizerEvent =
  | { readonly type: 'started'; readonly id: number; readonly device: string }
  /** `fraction` of this task, 0–1. May be merged or dropped. */
  | { readonly type: 'progress'; readonly id: number; readonly fraction: number }
  | { readonly type: 'copied'; readonly id: number; readonly seconds: number }
  | ({ readonly type: 'quantized'; readonly id: number } & QuantizedResult)
  /** The source has NaN or Inf: nothing was written for this task. `seconds` spent. */
  | { readonly type: 'nonFinite'; readonly id: number; readonly count: number; readonly seconds: number }
  | ({ readonly type: 'compared'; readonly id: number } & ComparedResult)
  | ({ readonly type: 'inspected'; readonly id: number } & InspectedResult)
  | ({ readonly type: 'checked'; readonly id: number } & CheckedResult)
  /** Something worth telling, e.g. a tensor that fell back from the GPU to the CPU. */
  | { readonly type: 'note'; readonly id: number; readonly message: string }
  /** Always the last one. */
  | { readonly type: 'finished'; readonly peakDeviceMemoryBytes?: number; readonly deviceBusySeconds?: number };

export interface QuantizedResult {
  /** Of the whole matrix; where there are several scales, `scaleRange` has the smallest and the largest. */
  readonly scale?: number;
  readonly scaleRange?: { readonly smallest: number; readonly largest: number };
  /** ‖Q − W‖_F / ‖W‖_F of what was written; 0 for an all-zero tensor. */
  readonly relativeError: number;
  /** ‖W‖_F², to combine the relative errors of several tensors. */
  readonly squaredSource: number;
  /** tr(E H Eᵀ) with H = WᵀW normalised to mean diagonal 1 plus damping, of what was written; and of nearest rounding. Absent for rounding `nearest`. */
  readonly objective?: number;
  readonly objectiveNearest?: number;
  /** Only for rounding `tpec`: the objective that `learned` reaches, for comparison. */
  readonly objectiveLearned?: number;
  /** Sweeps (learned) or steps (tpec) that ran. */
  readonly sweeps: number;
  /** Learned rounding was not better than nearest on this tensor, and nearest was written. */
  readonly keptNearest: boolean;
  /** Share of codes that differ from nearest rounding with the same scales, 0–1. */
  readonly changedShare: number;
  readonly device: string;
  readonly readSeconds: number;
  readonly computeSeconds: number;
  readonly writeSeconds: number;
}

export interface ComparedResult {
  readonly equal: boolean;
  /** Sums over elements, for relative error per tensor and overall: Σ(converted − source)², Σ source². */
  readonly squaredError: number;
  readonly squaredSource: number;
  readonly maxAbsoluteError: number;
  /** Σ converted². Absent where nothing was dequantized. */
  readonly squaredConverted?: number;
  /** Σ error² of nearest rounding with the scales that are stored: what the codes could reach. Absent where nothing was dequantized. */
  readonly squaredNearest?: number;
  /** The largest error ÷ (half the grid's widest step × scale), of what was dequantized: of nearest within 1, of learned within a few. */
  readonly largestStepError?: number;
  readonly nonFiniteCount: number;
}

export interface CheckedResult {
  /** `noMoment`: a mean of squares is negative, or the matrix is not symmetric or has |m_ij|² > m_ii · m_jj. */
  readonly verdict: 'usable' | 'allZero' | 'nonFinite' | 'noMoment';
  readonly nonFiniteCount: number;
  /** What a second moment needs to be positive definite: as asked, or raised in steps of four. */
  readonly damping: number;
}

export interface InspectedResult {
  readonly count: number;
  readonly zeroCount: number;
  readonly nanCount: number;
  readonly infinityCount: number;
  /** Of the finite values; 0 where there are none. */
  readonly smallest: number;
  readonly largest: number;
  readonly mean: number;
  readonly deviation: number;
  /** Finite values in equal bins from `smallest` to `largest`. */
  readonly histogram: readonly number[];
  /** The E4M3 scale that nearest and learned rounding take for the whole tensor. */
  readonly fp8Scale: number;
  readonly atScale: CastLoss;
  /** As a plain cast without a scale would do. */
  readonly unscaled: CastLoss;
  /** Sums of squares of the columns, from most to least, at up to 128 equally spaced ranks; 1 is the mean. Empty for a single row or column. */
  readonly columnEnergies: readonly number[];
  /** The smallest share of the columns that holds half of the energy, 0–1. */
  readonly halfEnergyShare: number;
}

/** How many values a cast to E4M3 would harm. */
export interface CastLoss {
  /** Not zero before, and zero afterwards. */
  readonly underflow: number;
  /** Below the smallest normal value, where few bits are left; includes those of underflow. */
  readonly subnormal: number;
  readonly saturated: number;
}

export interface QuantizerDevice {
  /** `cpu`, `cuda:0`, … */
  readonly id: string;
  readonly kind: 'cpu' | 'cuda';
  readonly name: string;
  readonly available: boolean;
  /** Why it is not available, with the remedy. */
  readonly reason?: string;
  readonly memoryBytes?: number;
  readonly freeMemoryBytes?: number;
  readonly computeCapability?: string;
  readonly driverVersion?: string;
  /** CPU: threads and instruction set in use. */
  readonly threads?: number;
  readonly instructionSet?: string;
}

export interface Quantizer {
  devices(): Promise<readonly QuantizerDevice[]>;
  /**
   * Runs every task; each ends in exactly one `copied`, `quantized`, `nonFinite`, `compared`, `inspected` or `checked`, in any order.
   * Throws EngineError: `Cancelled` within a second of the signal, otherwise with the tensor's name and the path.
   */
  run(job: QuantizerJob, signal: AbortSignal): AsyncIterable<QuantizerEvent>;
}
