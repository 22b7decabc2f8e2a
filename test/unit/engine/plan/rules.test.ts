/** What happens to a tensor by default and with presets, and that every reason is a sentence. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RuleId } from '../../../../src/engine/plan/decision';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import type { PlannedTensor } from '../../../../src/engine/plan/plan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { RULES } from '../../../../src/engine/plan/rules';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MATRIX: TensorSpec = ['BF16', 256, 128];

function planned(tensors: Readonly<Record<string, TensorSpec>>, overrides: Partial<Recipe> = {}): readonly PlannedTensor[] {
  return makePlan(headerOf(tensors), defaultRecipe(overrides), { toolVersion: '1.2.3' }).tensors;
}

function decisionOf(name: string, spec: TensorSpec, overrides: Partial<Recipe> = {}): string {
  const [tensor] = planned({ [name]: spec }, overrides);
  return `${tensor?.action} by ${tensor?.rule}`;
}

describe('by default', () => {
  it.each<[string, TensorSpec, string]>([
    // Matrices of linear layers, by the names that models use.
    ['double_blocks.0.img_attn.qkv.weight', ['BF16', 9216, 3072], 'quantize by linear'],
    ['double_blocks.0.img_mod.lin.weight', ['BF16', 18432, 3072], 'quantize by linear'],
    ['single_blocks.37.linear1.weight', ['BF16', 21504, 3072], 'quantize by linear'],
    ['blocks.0.self_attn.q.weight', ['F16', 1536, 1536], 'quantize by linear'],
    ['model.layers.0.mlp.gate_proj.weight', ['F32', 704, 256], 'quantize by linear'],
    ['input_blocks.4.1.transformer_blocks.0.attn1.to_q.weight', ['F16', 640, 640], 'quantize by linear'],
    ['input_blocks.4.1.proj_out.weight', ['F16', 640, 640], 'quantize by linear'],
    ['input_blocks.1.0.emb_layers.1.weight', ['F16', 320, 1280], 'quantize by linear'],
    ['encoder.block.0.layer.1.DenseReluDense.wi_0.weight', ['BF16', 10240, 4096], 'quantize by linear'],
    ['h.0.attn.c_attn.weight', ['F32', 768, 2304], 'quantize by linear'],
    ['one_row.weight', ['BF16', 1, 4096], 'quantize by linear'],
    ['one_column.weight', ['BF16', 4096, 1], 'quantize by linear'],
    // What is not a matrix, or not a weight.
    ['blocks.0.attn.qkv.bias', ['BF16', 9216], 'keep by bias'],
    ['blocks.0.attn.bias', ['F32', 64, 64], 'keep by bias'],
    ['blocks.0.attn.in_proj_bias', ['F32', 3072], 'keep by bias'],
    ['blocks.0.norm1.weight', ['BF16', 3072], 'keep by norm'],
    ['double_blocks.0.img_attn.norm.query_norm.scale', ['BF16', 128], 'keep by norm'],
    ['transformer_blocks.0.norm1.linear.weight', ['BF16', 18432, 3072], 'keep by norm'],
    ['ln_f.weight', ['F32', 768], 'keep by norm'],
    ['h.0.ln_1.weight', ['F32', 768], 'keep by norm'],
    ['gain.weight', ['F32', 768], 'keep by vector'],
    ['logit_scale', ['F32'], 'keep by vector'],
    ['blocks.0.modulation', ['F32', 6, 1536], 'keep by name'],
    ['text_model.attn.in_proj_weight', ['F32', 3072, 1024], 'keep by name'],
    ['weight', MATRIX, 'keep by name'],
    ['.weight', MATRIX, 'keep by name'],
    ['x.weight', ['BF16', 0, 128], 'keep by empty'],
    ['x.weight', ['BF16', 31, 33], 'keep by tiny'],
    ['x.weight', ['BF16', 32, 32], 'quantize by linear'],
    // Lookups and what everything passes through.
    ['model.embed_tokens.weight', ['BF16', 256, 256], 'keep by embedding'],
    ['transformer.wte.weight', ['F32', 50257, 768], 'keep by embedding'],
    ['transformer.wpe.weight', ['F32', 1024, 768], 'keep by embedding'],
    ['shared.weight', ['F16', 32128, 4096], 'keep by embedding'],
    ['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight', ['F16', 32, 64], 'keep by embedding'],
    ['text_model.embeddings.position_embedding.weight', ['F16', 77, 768], 'keep by embedding'],
    ['token_emb.weight', MATRIX, 'keep by embedding'],
    ['time_embed.0.weight', ['F16', 1280, 320], 'keep by embedding'],
    ['label_emb.0.0.weight', ['F16', 1280, 2816], 'keep by embedding'],
    ['t_embedder.mlp.0.weight', ['BF16', 1024, 256], 'keep by embedding'],
    ['lm_head.weight', ['BF16', 256, 256], 'keep by output-head'],
    ['output.weight', ['BF16', 4096, 4096], 'keep by output-head'],
    ['head.head.weight', ['BF16', 64, 1536], 'keep by output-head'],
    ['proj_out.weight', ['BF16', 64, 3072], 'keep by output-head'],
    ['table.weight', ['BF16', 50257, 768], 'keep by vocabulary'],
    // Convolutions.
    ['conv.weight', ['BF16', 320, 4, 3, 3], 'keep by convolution'],
    ['conv.weight', ['BF16', 128, 64, 3], 'keep by convolution'],
    ['conv.weight', ['BF16', 128, 16, 1, 2, 2], 'keep by convolution'],
    ['odd.weight', ['BF16', 8, 8, 8, 8, 8, 8], 'keep by rank'],
    // Dtypes.
    ['x.weight', ['F64', 256, 128], 'keep by dtype'],
    ['x.weight', ['I64', 256, 128], 'keep by dtype'],
    ['x.weight', ['U8', 256, 128], 'keep by dtype'],
    ['x.weight', ['C64', 256, 128], 'keep by dtype'],
    ['x.weight', ['F8_E4M3', 256, 128], 'keep by quantized'],
    ['x.weight', ['F8_E5M2', 256, 128], 'keep by quantized'],
    ['x.weight', ['F4', 256, 128], 'keep by quantized'],
    // Adapters.
    ['lora_unet_blocks_0_attn.lora_up.weight', ['BF16', 3072, 16], 'keep by lora'],
    ['transformer.blocks.0.attn.to_q.lora_A.weight', ['BF16', 16, 3072], 'keep by lora'],
  ])('%s %j: %s', (name, spec, expected) => {
    expect(decisionOf(name, spec)).toBe(expected);
  });

  it('exactly the 35 projections of the sample model are quantized', async () => {
    const header = await readHeader(join(import.meta.dirname, '../../../../samples/kjv-lm.safetensors'));
    const { tensors } = makePlan(header, defaultRecipe(), { toolVersion: '1.2.3' });
    const quantized = tensors.filter(({ action }) => action === 'quantize').map(({ source }) => source.name);
    expect(quantized.length).toBe(35);
    expect(quantized.every((name) => /^model\.layers\.\d\.(self_attn\.[qkvo]|mlp\.(gate|up|down))_proj\.weight$/.test(name))).toBe(true);
  });
});

describe('convolutions on request', () => {
  it.each<[TensorSpec, number, number]>([
    [['BF16', 320, 4, 3, 3], 320, 36],
    [['F16', 128, 64, 3], 128, 192],
    [['F32', 128, 16, 1, 2, 2], 128, 64],
  ])('%j is seen as %i × %i', (spec, rows, columns) => {
    const [tensor] = planned({ 'conv.weight': spec }, { convolutions: 'quantize', layout: 'plain' });
    expect(tensor).toMatchObject({
      action: 'quantize',
      rule: 'convolution-on-request',
      quantization: { rows, columns, sourceDtype: spec[0] },
    });
  });

  it('does not quantize the embedding of patches', () => {
    expect(decisionOf('patch_embedding.weight', ['BF16', 1536, 16, 1, 2, 2], { convolutions: 'quantize', layout: 'plain' })).toBe(
      'keep by embedding',
    );
  });
});

it.each([
  ['ups.0.conv_transpose.weight', [64, 32, 4]],
  ['decoder.deconv1.weight', [64, 32, 3, 3]],
  ['up.0.convtr.weight', [64, 32, 2, 2, 2]],
] as const)('a transposed convolution, %s, is kept, also where it is asked for by name', (name, shape) => {
  const recipe = { convolutions: 'quantize', layout: 'plain' } as const;
  expect(decisionOf(name, ['BF16', ...shape], recipe)).toBe('keep by transposed');
  expect(decisionOf(name, ['BF16', ...shape], { ...recipe, overrides: [{ match: name, action: 'quantize' }] })).toBe('keep by transposed');
});

it('a transposed convolution is told by its bias, which is as long as its outputs are many', () => {
  const recipe = { layout: 'plain', convolutions: 'quantize' } as const;
  const vocoder = planned(
    {
      'ups.0.weight': ['F32', 512, 256, 16],
      'ups.0.bias': ['F32', 256],
      'resblocks.0.convs1.0.weight': ['F32', 256, 128, 3],
      'resblocks.0.convs1.0.bias': ['F32', 256],
    },
    recipe,
  );
  expect(vocoder.map(({ source: { name }, rule }) => `${name}: ${rule}`)).toEqual([
    'ups.0.weight: transposed',
    'ups.0.bias: bias',
    'resblocks.0.convs1.0.weight: convolution-on-request',
    'resblocks.0.convs1.0.bias: bias',
  ]);
  expect(vocoder[0]?.reason).toBe(
    'Transposed convolution: 512 × 256 × 16 begins with its inputs (its bias has 256 elements), so it is no matrix of outputs × inputs.',
  );
});

describe('embeddings on request', () => {
  const asked = { embeddings: 'quantize' } as const;
  it.each([
    'model.embed_tokens.weight',
    'shared.weight',
    'transformer.wte.weight',
    'text_model.embeddings.token_embedding.weight',
    'tok_embeddings.weight',
  ])('%s is quantized where the layout has its scale, to nearest', (name) => {
    const table: TensorSpec = ['BF16', 49_408, 768];
    const [tensor] = planned({ [name]: table }, asked);
    expect(tensor).toMatchObject({ action: 'quantize', rule: 'embedding-on-request', quantization: { rounding: 'nearest' } });
    expect(tensor?.quantization?.stored.scales).toMatchObject([{ dtype: 'F32', shape: [] }]);
    expect(decisionOf(name, table, { ...asked, layout: 'plain' })).toBe('quantize by embedding-on-request');
    for (const layout of ['comfyui-legacy', 'compressed-tensors', 'huggingface'] as const)
      expect(decisionOf(name, table, { ...asked, layout })).toBe('keep by layout');
    for (const target of ['mxfp8', 'nvfp4'] as const) expect(decisionOf(name, table, { ...asked, target })).toBe('keep by layout');
    expect(decisionOf(name, table)).toBe('keep by embedding');
  });

  it.each(['t_embedder.mlp.0.weight', 'x_embedder.weight', 'time_embed.0.weight', 'norm.embed.weight'])('%s is kept', (name) => {
    expect(decisionOf(name, MATRIX, asked)).toMatch(/^keep by (embedding|norm)$/);
  });
});

describe('stacked experts', () => {
  const stack: TensorSpec = ['BF16', 4, 96, 64];
  it('have a scale each where the layout takes that, and are kept with the reason elsewhere', () => {
    const [tensor] = planned({ 'layers.0.mlp.experts.up_proj.weight': stack }, { layout: 'plain' });
    expect(tensor).toMatchObject({ action: 'quantize', rule: 'experts', quantization: { rows: 384, columns: 64 } });
    expect(tensor?.quantization?.stored).toMatchObject({
      storage: { block: { rows: 96, columns: 64 } },
      weight: { shape: [4, 96, 64] },
      scales: [{ shape: [4, 1, 1] }],
    });
    const [rows] = planned({ 'a.experts.weight': stack }, { layout: 'plain', granularity: 'row' });
    expect(rows?.quantization?.stored).toMatchObject({ storage: { block: { rows: 1, columns: 64 } }, scales: [{ shape: [4, 96, 1] }] });
    const [blocks] = planned({ 'a.experts.weight': stack }, { layout: 'plain', granularity: 'block' });
    expect(blocks?.reason).toBe('Layout: Stacked experts have a scale for each expert, or one for each row.');
    for (const layout of ['comfyui', 'comfyui-legacy', 'compressed-tensors', 'huggingface'] as const) {
      const [kept] = planned({ 'a.experts.weight': stack }, { layout });
      expect([layout, kept?.action, kept?.rule]).toEqual([layout, 'keep', 'layout']);
    }
  });

  it('are kept with that reason where convolutions are asked for, and are not called convolutions', () => {
    const asked = { convolutions: 'quantize' } as const;
    for (const recipe of [
      { ...asked, layout: 'plain', granularity: 'block' },
      { ...asked, layout: 'plain', target: 'mxfp8' },
      { ...asked, layout: 'plain', target: 'nvfp4' },
      { ...asked, layout: 'comfyui' },
    ] as const) {
      const [kept] = planned({ 'a.experts.weight': stack }, recipe);
      expect(kept).toMatchObject({ rule: 'layout', reason: expect.stringContaining('tacked experts') as string });
    }
    const odd = () => planned({ 'a.weight': ['BF16', 64, 3, 3, 3] }, { ...asked, layout: 'plain', target: 'nvfp4' });
    expect(odd).toThrow(/27 columns leave one alone\. Keep the convolutions, or choose another target\.$/);
  });

  it('named as in transformers are quantized where the two stacks together tell that they begin with outputs', () => {
    const [upper, lower] = ['layers.0.mlp.experts.gate_up_proj', 'layers.0.mlp.experts.down_proj'];
    const outputsFirst = planned({ [upper]: ['BF16', 4, 96, 64], [lower]: ['BF16', 4, 64, 48] }, { layout: 'plain' });
    expect(outputsFirst.map(({ rule, quantization }) => [rule, quantization?.stored.scales])).toEqual([
      ['experts', [{ name: `${upper}_scale`, dtype: 'F32', shape: [4, 1, 1] }]],
      ['experts', [{ name: `${lower}_scale`, dtype: 'F32', shape: [4, 1, 1] }]],
    ]);
    const inputsFirst = planned({ [upper]: ['BF16', 4, 64, 96], [lower]: ['BF16', 4, 48, 64] }, { layout: 'plain' });
    expect(inputsFirst.map(({ rule, reason }) => [rule, reason])).toEqual([
      ['transposed', 'Stacked experts: 4 × 64 × 96 has inputs before outputs, so its rows are no outputs.'],
      ['transposed', 'Stacked experts: 4 × 48 × 64 has inputs before outputs, so its rows are no outputs.'],
    ]);
    // As wide as both orders would have it, and yet only one fits.
    const square = planned({ [upper]: ['BF16', 4, 64, 64], [lower]: ['BF16', 4, 64, 32] }, { layout: 'plain' });
    expect(square.map(({ rule }) => rule)).toEqual(['experts', 'experts']);
  });

  it('without ".weight" are kept where nothing tells which way they lie', () => {
    const alone = { match: '*', action: 'quantize' } as const;
    for (const name of ['layers.0.mlp.experts.gate_up_proj', 'layers.0.mlp.experts.w1']) {
      const [tensor] = planned({ [name]: stack }, { layout: 'plain', overrides: [alone] });
      expect(tensor).toMatchObject({ action: 'keep', rule: 'name' });
      expect(tensor?.reason).toMatch(/Name: stacked experts that are not named "\.weight" begin with their inputs in some models/);
    }
  });

  it('are no convolutions, nor are those experts', () => {
    expect(decisionOf('a.experts.weight', stack, { layout: 'plain' })).toBe('quantize by experts');
    expect(decisionOf('a.expertise.weight', stack, { layout: 'plain' })).toBe('keep by convolution');
    expect(decisionOf('a.experts.0.weight', ['BF16', 96, 64])).toBe('quantize by linear');
  });
});

it.each([
  ['blocks.0.attn.qkv.weight', true],
  ['layers.0.self_attn.qkv_proj.weight', true],
  ['h.0.attn.c_attn.weight', true],
  ['attn.to_qkv.weight', true],
  ['blocks.0.attn.q.weight', false],
] as const)('of %s the reason tells whether queries, keys and values are in one: %s', (name, isFused) => {
  const [tensor] = planned({ [name]: MATRIX });
  expect(tensor?.reason).toBe(`Linear weight: 256 × 128${isFused ? ', queries, keys and values in one' : ''}.`);
});

describe('a file that is quantized already', () => {
  it.each(['weight_scale', 'scale_weight', 'weight_scale_inv', 'comfy_quant', 'input_scale'])(
    'keeps a weight beside its %s, and that too',
    (companion) => {
      const tensors = planned({ 'a.weight': MATRIX, [`a.${companion}`]: ['F32'], 'b.weight': MATRIX });
      expect(Object.fromEntries(tensors.map(({ source, action, rule }) => [source.name, `${action} by ${rule}`]))).toEqual({
        'a.weight': 'keep by quantized',
        [`a.${companion}`]: 'keep by quantized',
        'b.weight': 'quantize by linear',
      });
    },
  );

  it('keeps its marker', () => {
    expect(decisionOf('model.diffusion_model.scaled_fp8', ['F8_E4M3', 2])).toBe('keep by quantized');
  });
});

describe('a checkpoint', () => {
  it('has only its diffusion model quantized, where loaders read scales', () => {
    const tensors = planned({
      'model.diffusion_model.blocks.0.qkv.weight': MATRIX,
      'first_stage_model.decoder.mid.attn_1.q.weight': MATRIX,
      'conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight': MATRIX,
      'model_ema.qkv.weight': MATRIX,
    });
    expect(tensors.map(({ rule }) => rule)).toEqual(['linear', 'outside-model', 'outside-model', 'outside-model']);
  });
});

describe('presets', () => {
  it.each<[string, TensorSpec, string]>([
    ['decoder.block.0.layer.0.SelfAttention.q.weight', MATRIX, 'remove by preset-remove'],
    ['decoder.final_layer_norm.weight', ['BF16', 128], 'remove by preset-remove'],
    ['lm_head.weight', MATRIX, 'remove by preset-remove'],
    ['shared.weight', MATRIX, 'keep by preset-keep'],
    ['encoder.embed_tokens.weight', MATRIX, 'keep by preset-keep'],
    ['encoder.block.0.layer.0.layer_norm.weight', ['BF16', 128], 'keep by preset-keep'],
    ['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight', ['BF16', 32, 64], 'keep by preset-keep'],
    ['encoder.block.0.layer.0.SelfAttention.q.weight', MATRIX, 'quantize by linear'],
  ])('t5xxl: %s %j: %s', (name, spec, expected) => {
    expect(decisionOf(name, spec, { presets: ['t5xxl'] })).toBe(expected);
  });

  it.each(['distilled_guidance_layer.layers.0.in_layer', 'final_layer.linear', 'img_in', 'txt_in'])(
    'keep_distillation keeps %s, which is quantized without it',
    (layer) => {
      expect(decisionOf(`${layer}.weight`, MATRIX)).toBe('quantize by linear');
      expect(decisionOf(`${layer}.weight`, MATRIX, { presets: ['keep_distillation'] })).toBe('keep by preset-keep');
    },
  );

  it('say which part of the name they matched', () => {
    const [tensor] = planned({ 'img_in.weight': MATRIX }, { presets: ['t5xxl', 'keep_distillation'] });
    expect(tensor?.reason).toBe('Preset keep_distillation: names with "img_in" are kept.');
  });

  it('remove a tensor even where the job would keep it', () => {
    const header = headerOf({ 'decoder.q.weight': MATRIX, 'q.weight': MATRIX });
    const keepAnyway = new Map([
      ['decoder.q.weight', 'NaN.'],
      ['q.weight', 'NaN.'],
    ]);
    const { tensors } = makePlan(header, defaultRecipe({ presets: ['t5xxl'] }), { toolVersion: '1.2.3', keepAnyway });
    expect(tensors).toMatchObject([{ action: 'remove' }, { action: 'keep', rule: 'told', reason: 'NaN.' }]);
  });
});

it('every rule decides somewhere in these tests, and every reason is one sentence', () => {
  const tensors = [
    ...planned({ 'decoder.weight': MATRIX, 'norm.weight': ['BF16', 8] }, { presets: ['t5xxl'] }),
    ...planned({
      'a.weight': ['BF16', 0],
      'b.weight': ['F8_E4M3', 1],
      'c.weight': ['I8', 1],
      'd.bias': ['F32', 1],
      'e.norm': ['F32', 1],
      f: ['F32'],
      g: MATRIX,
    }),
    ...planned({ 'lora_up.x.weight': MATRIX, 'embed.weight': MATRIX, 'lm_head.weight': MATRIX, 'c.weight': ['F32', 8, 8, 8] }),
    ...planned({ 'a.weight': ['F32', 8, 8, 8, 8, 8, 8], 'b.weight': ['F32', 2, 2], 'c.weight': ['F32', 16_384, 512], 'd.weight': MATRIX }),
    ...planned({ 'c.weight': ['F32', 8, 8, 8, 8] }, { convolutions: 'quantize', layout: 'plain' }),
    ...planned({ 'model.diffusion_model.a': ['F32'], 'b.weight': MATRIX }),
    ...planned({ 'a.weight': ['F32', 200, 72] }, { layout: 'compressed-tensors', granularity: 'block' }),
  ];
  tensors.push(
    ...planned(
      { 'up.conv_transpose.weight': ['F32', 8, 8, 16], 'embed_tokens.weight': MATRIX, 'mlp.experts.up.weight': ['F32', 4, 16, 32] },
      { convolutions: 'quantize', embeddings: 'quantize', layout: 'plain' },
    ),
  );
  // What the job tells, and what a family keeps, have tests of their own.
  const decided = new Set<RuleId>(tensors.map(({ rule }) => rule)).add('told').add('family');
  expect([...new Set(RULES.map(({ id }) => id))].filter((id) => !decided.has(id))).toEqual([]);
  for (const { reason } of tensors) expect(reason).toMatch(/^[A-Z][^\n]{10,110}\.$/);
});
