/** Plan: header + recipe → what happens to every tensor, and every byte range of the output. Pure. */
import type { Dtype, SourceDtype } from '../dtype';
import type { Encoding } from './encoding';
import type { StoredLayer } from './outputFormat';
import type { TensorInfo } from '../safetensors/header';
import type { Action, Decision } from './decision';
import type { Recipe, Rounding } from './recipe';
import type { StatisticsChoice } from './statistics';
import type { StoredWeight } from './stored/storedWeight';

export type { Action };

export interface PlannedTensor extends Decision {
  readonly source: TensorInfo;
  /** Where the source has it as codes and scales, and these are read as the numbers that they stand for. */
  readonly stored?: SourceCodes;
  /** Only where action is `quantize`. */
  readonly quantization?: TensorQuantization;
  /** Only of a bias that takes over what rounding does to the mean output of its layer; its action is `keep`. */
  readonly correction?: BiasCorrectionPlan;
}

export interface BiasCorrectionPlan {
  /** The name of the layer's weight. */
  readonly weight: string;
  readonly mean: 'calibrated' | 'propagated';
}

export interface SourceCodes {
  readonly weight: StoredWeight;
  /** By which everything counts besides. */
  readonly tensorScale?: number;
}

export interface TensorQuantization {
  readonly sourceDtype: SourceDtype;
  readonly targetDtype: Dtype;
  readonly encoding: Encoding;
  readonly rounding: Rounding;
  /** The matrix view: out × in, a convolution as O × (I·kh·kw). */
  readonly rows: number;
  readonly columns: number;
  /** The weight's name in the source. */
  readonly weightName: string;
  /** What the layout makes of it, and how that is written. */
  readonly stored: StoredLayer;
  /** What steers rounding. Only for learned rounding. */
  readonly statistics?: StatisticsChoice;
}

/** Where an output tensor's bytes come from. */
export type OutputOrigin =
  | { readonly kind: 'copy'; readonly source: TensorInfo }
  /** The numbers that codes of the source stand for, in the output tensor's dtype. */
  | { readonly kind: 'dequantized'; readonly source: TensorInfo }
  | { readonly kind: 'codes'; readonly source: TensorInfo }
  /** All scales; `tensorScale` is the one F32 scale that stands beside the others. */
  | { readonly kind: 'scale' | 'tensorScale'; readonly source: TensorInfo }
  | { readonly kind: 'literal'; readonly bytes: Uint8Array };

export interface OutputTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** As in TensorInfo. */
  readonly exactShape?: readonly string[];
  /** Byte range from the start of the output file. */
  readonly begin: number;
  readonly end: number;
  readonly origin: OutputOrigin;
}

export interface Plan {
  readonly recipe: Recipe;
  /** Every source tensor exactly once, in file order. */
  readonly tensors: readonly PlannedTensor[];
  readonly output: {
    /** The length prefix and the header, ready to be written at offset 0. */
    readonly headerBytes: Uint8Array;
    readonly tensors: readonly OutputTensor[];
    readonly fileSize: number;
  };
  readonly warnings: readonly string[];
}
