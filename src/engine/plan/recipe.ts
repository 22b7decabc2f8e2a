/** Recipe: what the user chose, independent of any file and device. It fixes the result for a given source and backend. */
import type { Override } from './overrides';

export type Rounding = 'learned' | 'tpec' | 'nearest';
export type Layout = 'comfyui' | 'comfyui-legacy';
/** `auto` keeps what the recognised family of the model keeps; the others are asked for by name. */
export type PresetName = 'auto' | 't5xxl' | 'keep_distillation';

export const ROUNDINGS: readonly Rounding[] = ['learned', 'tpec', 'nearest'];
export const LAYOUTS: readonly Layout[] = ['comfyui', 'comfyui-legacy'];
export const CONVOLUTIONS: readonly Recipe['convolutions'][] = ['keep', 'quantize'];
export const PRESET_NAMES: readonly PresetName[] = ['auto', 't5xxl', 'keep_distillation'];

export interface Recipe {
  readonly presets: readonly PresetName[];
  readonly layout: Layout;
  readonly rounding: Rounding;
  /** How many principal components steer the rounding; `full` uses every one. */
  readonly topK: number | 'full';
  /** Upper bound of the optimiser's iterations (sweeps for `learned`, steps for `tpec`). */
  readonly numIter: number;
  /** Synthetic samples drawn for propagated statistics. */
  readonly calibSamples: number;
  readonly convolutions: 'keep' | 'quantize';
  readonly seed: number;
  /** Decide before every other rule; of those that match a tensor, the last one does. */
  readonly overrides: readonly Override[];
}

/** The recipe of a user who chose nothing but `overrides`. */
export function defaultRecipe(overrides: Partial<Recipe> = {}): Recipe {
  return {
    presets: ['auto'],
    layout: 'comfyui',
    rounding: 'learned',
    // The reference optimiser corrects along one singular pair unless told otherwise.
    topK: overrides.rounding === 'tpec' ? 1 : 'full',
    numIter: 500,
    calibSamples: 3072,
    convolutions: 'keep',
    seed: 0,
    overrides: [],
    ...overrides,
  };
}
