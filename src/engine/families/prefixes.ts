/** The usual prefixes: what stands before a component's own names in the files that people have. Anything else is not guessed at. */

const USUAL_PREFIXES: readonly RegExp[] = [
  /^$/,
  // Diffusion models: alone, in a checkpoint, in NVIDIA's files, in diffusers' pipelines saved as one file.
  /^(model\.)?diffusion_model\.$/,
  /^(model|net|transformer|unet|dit)\.$/,
  // Autoencoders.
  /^(first_stage_model|vae)\.$/,
  // Text encoders of SD1, SD2 and SDXL.
  /^cond_stage_model\.((transformer|model)\.)?$/,
  /^conditioner\.embedders\.\d+\.((transformer|model)\.)?$/,
  // Text encoders of later checkpoints.
  /^text_encoders\.\w+\.(transformer\.|model\.)?$/,
  /^text_encoder(_\d)?\.(transformer\.|model\.)?$/,
];

export function isUsualPrefix(text: string): boolean {
  return USUAL_PREFIXES.some((prefix) => prefix.test(text));
}
