/**
 * Presets: for a kind of model, what is removed and what is kept, as data. Patterns are substrings of a tensor's whole name, as the field does it.
 * `auto` has no patterns of its own: it takes those of the family that the model is recognised as.
 */
import type { FamilyId } from '../families/families';
import type { PresetName } from './recipe';

export interface Preset {
  /** For people. */
  readonly label: string;
  /** The families that it is made for; `any` where it says so itself. */
  readonly families: readonly FamilyId[] | 'any';
  readonly remove: readonly string[];
  readonly keep: readonly string[];
  /** Loaders of text encoders expect a scale for the input beside the scale of the weight (layout comfyui-legacy). */
  readonly inputScale: 'none' | 'copyOfWeightScale';
}

export const PRESETS: Readonly<Record<PresetName, Preset>> = {
  auto: { label: 'Automatic', families: 'any', remove: [], keep: [], inputScale: 'none' },
  t5xxl: {
    label: 'T5-XXL text encoder',
    families: ['t5', 'umt5'],
    remove: ['decoder', 'lm_head'],
    keep: ['norm', 'bias', 'embed_tokens', 'shared'],
    inputScale: 'copyOfWeightScale',
  },
  keep_distillation: {
    label: 'Keep distillation layers',
    families: 'any',
    remove: [],
    keep: ['distilled_guidance_layer', 'final_layer', 'img_in', 'txt_in'],
    inputScale: 'none',
  },
};
