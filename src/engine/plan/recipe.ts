/** Recipe: what the user chose, independent of any file and device. It fixes the result for a given source and backend. */

export type Rounding = 'learned' | 'tpec' | 'nearest';
export type Layout = 'comfyui' | 'comfyui-legacy';
export type PresetName = 't5xxl' | 'keep_distillation';

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
}

/** The recipe of a user who chose nothing but `overrides`. */
export function defaultRecipe(overrides: Partial<Recipe> = {}): Recipe {
  return {
    presets: [],
    layout: 'comfyui',
    rounding: 'learned',
    // The reference optimiser corrects along one singular pair unless told otherwise.
    topK: overrides.rounding === 'tpec' ? 1 : 'full',
    numIter: 500,
    calibSamples: 3072,
    convolutions: 'keep',
    seed: 0,
    ...overrides,
  };
}
