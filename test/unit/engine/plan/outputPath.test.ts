/** The name of an output follows the source's, as the original scripts do it. */
import { expect, it } from 'vitest';
import { defaultOutputPath } from '../../../../src/engine/plan/outputPath';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';

it.each([
  ['/models/flux.safetensors', '/models/flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/flux.v1.0.safetensors', '/models/flux.v1.0_fp8_e4m3fn_scaled.safetensors'],
  ['flux.SAFETENSORS', 'flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/model.safetensors.index.json', '/models/model_fp8_e4m3fn_scaled.safetensors'],
  ['flux.sft', 'flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/no-ending', '/models/no-ending_fp8_e4m3fn_scaled.safetensors'],
  ['/models.safetensors/x', '/models.safetensors/x_fp8_e4m3fn_scaled.safetensors'],
])('%s → %s', (source, output) => {
  expect(defaultOutputPath(source, defaultRecipe())).toBe(output);
});

it.each([
  ['/models/flux_int8_scaled.safetensors', '/models/flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/flux_fp8_e4m3fn_scaled.safetensors', '/models/flux_fp8_e4m3fn_scaled_2.safetensors'],
  ['/models/flux_fp8_e4m3fn_scaled_2.safetensors', '/models/flux_fp8_e4m3fn_scaled_3.safetensors'],
  ['/models/flux_fp8_e4m3fn_scaled_nodistill.safetensors', '/models/flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/flux_nvfp4_fp8_e4m3fn_scaled.safetensors', '/models/flux_fp8_e4m3fn_scaled.safetensors'],
  ['/models/_nvfp4.safetensors', '/models/_nvfp4_fp8_e4m3fn_scaled.safetensors'],
  ['/models/mxfp8/flux_2.safetensors', '/models/mxfp8/flux_2_fp8_e4m3fn_scaled.safetensors'],
])('what is quantized already has its ending replaced: %s → %s', (source, output) => {
  expect(defaultOutputPath(source, defaultRecipe())).toBe(output);
});

it('is another folder than that of a model in shards that is quantized already', () => {
  expect(defaultOutputPath('/models/a_fp8_e4m3fn_scaled', defaultRecipe(), 'folder')).toBe('/models/a_fp8_e4m3fn_scaled_2');
  expect(defaultOutputPath('/models/a/model.safetensors.index.json', defaultRecipe(), 'shards')).toBe('/models/a_fp8_e4m3fn_scaled');
});

it('says that the distillation layers are kept', () => {
  const recipe = defaultRecipe({ presets: ['t5xxl', 'keep_distillation'] });
  expect(defaultOutputPath('/models/chroma.safetensors', recipe)).toBe('/models/chroma_fp8_e4m3fn_scaled_nodistill.safetensors');
});
