/** The reasons that many families share, so that the same thing is said in the same words. */
import type { FamilyNote, NameRule } from '../family';

export const REASONS = {
  input: 'it embeds the picture or video: everything that follows is computed from it',
  text: 'it embeds the text: every block sees its output',
  condition: 'it embeds time step and conditioning, which steer every block',
  modulation: 'modulation scales and shifts whole blocks, so an error in it reaches every token',
  final: 'final layer: its errors are in the result directly',
  position: 'positions are added to every token',
  first: 'first blocks: their errors are amplified by all that follow',
  last: 'last blocks: nothing after them evens their errors out',
  refiner: 'refiner blocks are the first that text or picture passes through',
  router: 'the router decides which experts run; it is tiny, and a wrong decision is a large error',
  vocabulary: 'it is looked up by token; a row of it is not averaged over anything',
  head: 'its outputs are compared with each other: small errors change which token wins',
  vision: 'the vision tower is small beside the language model and feeds it',
  audio: 'the audio tower is small beside the model and feeds it',
  adapter: 'a small adapter that feeds the model',
  autoencoder: 'an autoencoder is small, mostly convolutions, and its errors are visible in every pixel',
} as const;

export function keepEach(reason: string, ...patterns: readonly string[]): readonly NameRule[] {
  return patterns.map((pattern) => ({ pattern, reason }));
}

/** ComfyUI renames diffusers' names while loading, but not the scales beside them. */
export const DIFFUSERS_LOSES_SCALES: FamilyNote = {
  naming: 'diffusers',
  text: 'ComfyUI renames diffusers names while it loads and loses their scales: quantize the file with the original names for ComfyUI.',
};
