/** What a plan warns of, and that it does not cry wolf. */
import { expect, it } from 'vitest';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MATRIX: TensorSpec = ['BF16', 64, 64];

function warnings(tensors: Readonly<Record<string, TensorSpec>>, overrides: Partial<Recipe> = {}): readonly string[] {
  return makePlan(headerOf(tensors), defaultRecipe(overrides), { toolVersion: '1.2.3' }).warnings;
}

it('an ordinary model has none', () => {
  expect(
    warnings({ 'a.weight': MATRIX, 'a.bias': ['F32', 64], 'embed.weight': MATRIX, 'transformer_blocks.0.attn.to_q.weight': MATRIX }),
  ).toEqual([]);
  expect(warnings({ 'a.weight': MATRIX, 'a.bias': ['F32', 64] }, { layout: 'comfyui-legacy' })).toEqual([]);
  expect(warnings({ 'a.weight': ['BF16', 72, 64] }, { target: 'mxfp8', layout: 'plain' })).toEqual([]);
  expect(warnings({ 'a.weight': MATRIX }, { target: 'nvfp4' })).toEqual([]);
});

it.each<[string, Readonly<Record<string, TensorSpec>>, Partial<Recipe>, string]>([
  ['nothing to quantize', { 'embed.weight': MATRIX }, {}, 'Nothing to quantize: no tensor is'],
  ['large matrices of no known family', { 'a.weight': ['BF16', 1024, 1024] }, {}, 'the 1 large tensor to quantize (e.g. "a.weight")'],
  [
    'what looks sensitive in a model of no known family',
    { 'net.img_in.weight': MATRIX, 'net.blocks.0.img_mod.lin.weight': MATRIX, 'net.blocks.0.attn.proj.weight': MATRIX },
    {},
    'The model is not recognised, and 2 of its tensors look like embedders, modulation or final layers, e.g. "net.img_in.weight": keep them by an override.',
  ],
  [
    'what looks sensitive and is not kept by overrides',
    { 'a.final_layer.linear.weight': MATRIX, 'a.img_in.weight': MATRIX, 'b.weight': MATRIX },
    { overrides: [{ match: '*.img_in.*', action: 'keep' }] },
    '1 of its tensors looks like an embedder, modulation or a final layer, e.g. "a.final_layer.linear.weight": keep it by an override.',
  ],
  ['an empty file', {}, {}, 'Nothing to quantize: no tensor is'],
  ['already quantized', { 'a.weight': ['F8_E4M3', 64, 64] }, {}, 'Nothing to quantize: the model is quantized already (1 weight)'],
  [
    'already quantized, without counting scales',
    { 'a.weight': ['F8_E4M3', 64, 64], 'a.weight_scale': ['F32'], 'b.weight_packed': ['U8', 64, 32], 'b.weight_scale': ['F8_E4M3', 64, 4] },
    {},
    'the model is quantized already (2 weights)',
  ],
  [
    'overrides that leave nothing',
    { 'a.weight': MATRIX, 'b.weight': MATRIX, 'b.bias': ['F32', 64] },
    {
      overrides: [
        { match: '*', action: 'remove' },
        { match: 'a.*', action: 'keep' },
      ],
    },
    'Nothing to quantize: overrides keep or remove 2 weights (e.g. "a.*" → keep), and nothing else could be quantized.',
  ],
  ['only convolutions', { 'a.weight': ['BF16', 64, 64, 3, 3] }, {}, 'Nothing to quantize but 1 convolution,'],
  [
    'only what the layout does not take, and convolutions',
    { 'a.weight': ['BF16', 100, 64], 'b.weight': ['BF16', 100, 64], 'c.weight': ['BF16', 64, 64, 3, 3] },
    { layout: 'huggingface', granularity: 'block', blockSize: [48, 40] },
    'Nothing to quantize: the layout does not take 2 matrices (e.g. "a.weight"). 100 × 64 does not divide into 48 × 40 blocks, as transformers asks; the layout',
  ],
  ['a preset for another model', { 'a.weight': MATRIX }, { presets: ['t5xxl'] }, 'The preset "T5-XXL text encoder" matches no tensor'],
  [
    'quantized convolutions',
    { 'a.weight': ['BF16', 64, 64, 3, 3] },
    { convolutions: 'quantize', layout: 'plain' },
    '1 convolution will be quantized, and ComfyUI ignores',
  ],
  [
    'parts of a checkpoint that ComfyUI reads no scales in',
    { 'model.diffusion_model.a.weight': MATRIX, 'conditioner.b.weight': MATRIX, 'first_stage_model.c.weight': MATRIX },
    { overrides: [{ match: '*', action: 'quantize' }] },
    '"conditioner.b.weight" and 1 other are quantized outside "model.diffusion_model."',
  ],
  [
    'old loaders of the legacy layout',
    { 'a.weight': MATRIX, 'embed.weight': MATRIX },
    { layout: 'comfyui-legacy' },
    'also the 1 matrix kept here',
  ],
  [
    'shapes that padding changes, in the layout that pads',
    { 'a.weight': ['BF16', 64, 64], 'b.weight': ['BF16', 72, 64], 'c.weight': ['BF16', 64, 72] },
    { target: 'mxfp8' },
    '"b.weight" and 1 other are stored padded (72 × 64 as 96 × 64)',
  ],
  [
    'diffusers names',
    { 'single_transformer_blocks.0.attn.to_q.weight': MATRIX },
    {},
    'named as in diffusers (e.g. "single_transformer_blocks.0.attn.to_q.weight")',
  ],
  [
    'diffusers names that are told by a tensor that is kept',
    { 'transformer_blocks.0.norm1_context.linear.weight': MATRIX, 'transformer_blocks.0.attn.to_q.weight': MATRIX },
    {},
    'named as in diffusers (e.g. "transformer_blocks.0.norm1_context.linear.weight")',
  ],
  [
    'overrides that keep what they name',
    { 'a.weight': MATRIX },
    { overrides: [{ match: '*', action: 'keep' }] },
    'Nothing to quantize: overrides keep or remove 1 weight (e.g. "*" → keep)',
  ],
])('%s', (_what, tensors, overrides, expected) => {
  expect(warnings(tensors, overrides)).toEqual([expect.stringContaining(expected)]);
});

it('nothing is said of what looks sensitive where a preset or nobody is asked', () => {
  const tensors = { 'x_in.weight': MATRIX, 'a.weight': MATRIX };
  expect(warnings(tensors, { presets: [] })).toEqual([]);
  expect(warnings(tensors, { presets: ['auto', 'keep_distillation'] }).join('\n')).not.toMatch(/not recognised/);
});

it('diffusers names are only told of for the loader that renames them, and where something is quantized', () => {
  const tensors = { 'single_transformer_blocks.0.attn.to_q.weight': MATRIX };
  const renamed = expect.stringContaining('named as in diffusers') as string;
  expect(warnings(tensors, { layout: 'comfyui-legacy' })).toContainEqual(renamed);
  expect(warnings(tensors, { layout: 'plain' })).toEqual([]);
  expect(warnings(tensors, { overrides: [{ match: '*', action: 'keep' }] })).not.toContainEqual(renamed);
});

it.each<[string, readonly string[], string | undefined]>([
  ['one that does nothing at all', ['*.bias'], 'The override "*.bias": none of its 2 tensors can be quantized, e.g. "a.bias".'],
  ['one that names its tensor', ['a.bias'], 'The override "a.bias": its only tensor cannot be quantized.'],
  ['a pattern of one tensor', ['a.b*'], 'The override "a.b*": its only tensor cannot be quantized, e.g. "a.bias".'],
  ['one that does less than it says', ['a.*'], 'The override "a.*": 1 of its 2 tensors cannot be quantized, e.g. "a.bias".'],
  ['several', ['a.bias', 'b.bias'], 'The override "a.bias" and 1 other: none of their 2 tensors can be quantized.'],
  ['none that does what it says', ['*.weight'], undefined],
])('overrides that cannot do what they ask for: %s', (_what, matches, expected) => {
  const model: Readonly<Record<string, TensorSpec>> = {
    'a.weight': MATRIX,
    'a.bias': ['F32', 64],
    'b.weight': MATRIX,
    'b.bias': ['F32', 64],
  };
  const told = warnings(model, { overrides: matches.map((match) => ({ match, action: 'quantize' })) });
  expect(told).toEqual(expected === undefined ? [] : [expected]);
});

it('a preset that takes from a recognised model what is not its to take', () => {
  const layer = Object.fromEntries(
    ['q', 'k', 'v', 'o'].map((letter) => [`model.layers.0.self_attn.${letter}_proj.weight`, MATRIX] as const),
  );
  const llama = headerOf({
    'lm_head.weight': MATRIX,
    'model.embed_tokens.weight': MATRIX,
    'model.layers.0.input_layernorm.weight': ['BF16', 64],
    'model.layers.0.post_attention_layernorm.weight': ['BF16', 64],
    'model.layers.0.mlp.gate_proj.weight': MATRIX,
    ...layer,
  });
  const told = (presets: Recipe['presets']): readonly string[] =>
    makePlan(llama, defaultRecipe({ presets }), { toolVersion: '1.2.3' }).warnings;
  expect(told(['auto'])).toEqual([]);
  expect(told(['auto', 't5xxl'])).toEqual([
    'The preset "T5-XXL text encoder" removes "lm_head.weight", and is not meant for this model, recognised as LLaMA-shaped language model.',
  ]);
});
