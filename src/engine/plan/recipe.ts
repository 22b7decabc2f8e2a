/** Recipe: what the user chose, independent of any file and device. It fixes the result for a given source and backend. */
import { DEFAULT_BLOCK_SIZE, type BlockSize, type GranularityName, type Target } from './encoding';
import type { Override } from './overrides';
import type { Rounding } from './rounding';

export type { Rounding };

/** How codes and scales are stored, by the loaders that read them. */
export type Layout = 'comfyui' | 'comfyui-legacy' | 'compressed-tensors' | 'huggingface' | 'plain';
/** `auto` keeps what the recognised family of the model keeps; the others are asked for by name. */
export type PresetName = 'auto' | 't5xxl' | 'keep_distillation';

/** `auto`: calibrated where a calibration file has the layer, else propagated where the model's architecture is known, else gram. */
export type StatisticsName = 'auto' | 'gram' | 'propagated' | 'calibrated';
/** Whose statistics steer rounding: the inputs' alone or also the outputs'. `auto` does what pays on the device and with the recipe at hand. */
export type Sides = 'auto' | 'input' | 'both';
/** `auto` corrects a bias where the mean input of its layer is known. */
export type BiasCorrection = 'auto' | 'off';

export const ROUNDINGS: readonly Rounding[] = ['learned', 'tpec', 'nearest'];
export const LAYOUTS: readonly Layout[] = ['comfyui', 'comfyui-legacy', 'compressed-tensors', 'huggingface', 'plain'];
export const QUANTIZED: readonly Recipe['quantized'][] = ['keep', 'requantize'];
export const CONVOLUTIONS: readonly Recipe['convolutions'][] = ['keep', 'quantize'];
export const EMBEDDINGS: readonly Recipe['embeddings'][] = ['keep', 'quantize'];
export const PRESET_NAMES: readonly PresetName[] = ['auto', 't5xxl', 'keep_distillation'];

export const STATISTICS: readonly StatisticsName[] = ['auto', 'gram', 'propagated', 'calibrated'];
export const SIDES: readonly Sides[] = ['auto', 'input', 'both'];
export const BIAS_CORRECTIONS: readonly BiasCorrection[] = ['auto', 'off'];

export interface Recipe {
  readonly presets: readonly PresetName[];
  readonly layout: Layout;
  readonly target: Target;
  readonly granularity: GranularityName;
  /** Of the granularity `block` alone, where the target does not prescribe its own: `auto` takes blocks of the usual size. */
  readonly blockSize: BlockSize;
  readonly rounding: Rounding;
  /** How many principal components steer the rounding; `full` uses every one. */
  readonly topK: number | 'full';
  /** Upper bound of the optimiser's iterations (sweeps for `learned`, steps for `tpec`). */
  readonly numIter: number;
  /** Synthetic samples drawn for propagated statistics. */
  readonly calibSamples: number;
  readonly statistics: StatisticsName;
  readonly sides: Sides;
  /** Path of a calibration file of the model (docs/calibration.md). */
  readonly calibration: string | null;
  readonly biasCorrection: BiasCorrection;
  readonly convolutions: 'keep' | 'quantize';
  /** The tables in which tokens are looked up; what embeds patches or time is kept. */
  readonly embeddings: 'keep' | 'quantize';
  /** What becomes of weights that the source has quantized already; `requantize` rounds the numbers that they stand for anew. */
  readonly quantized: 'keep' | 'requantize';
  /** A matrix with fewer is kept: a scale and its header entries take about as much as is saved. */
  readonly minElements: number;
  readonly seed: number;
  /** Decide before every other rule; of those that match a tensor, the last one does. */
  readonly overrides: readonly Override[];
}

/** The recipe of a user who chose nothing but `overrides`. */
export function defaultRecipe(overrides: Partial<Recipe> = {}): Recipe {
  return {
    presets: ['auto'],
    layout: 'comfyui',
    target: 'float8_e4m3fn',
    granularity: 'auto',
    blockSize: DEFAULT_BLOCK_SIZE,
    rounding: 'learned',
    // The reference optimiser corrects along one singular pair unless told otherwise.
    topK: overrides.rounding === 'tpec' ? 1 : 'full',
    numIter: 500,
    calibSamples: 3072,
    statistics: 'auto',
    sides: 'auto',
    calibration: null,
    biasCorrection: 'auto',
    convolutions: 'keep',
    embeddings: 'keep',
    quantized: 'keep',
    minElements: 1024,
    seed: 0,
    overrides: [],
    ...overrides,
  };
}
