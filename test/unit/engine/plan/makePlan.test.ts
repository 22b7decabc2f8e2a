/** A plan is total: every source tensor once, every output byte once, in both layouts. */
import { describe, expect, it } from 'vitest';
import { DTYPES } from '../../../../src/engine/dtype';
import { EngineError } from '../../../../src/engine/errors';
import { makePlan, planInSlices, type PlanOptions } from '../../../../src/engine/plan/makePlan';
import type { Plan } from '../../../../src/engine/plan/plan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import type { Header } from '../../../../src/engine/safetensors/header';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MODEL: Readonly<Record<string, TensorSpec>> = {
  'a.qkv.weight': ['BF16', 96, 33],
  'a.qkv.bias': ['F32', 96],
  'a.norm.weight': ['F32', 33],
  'a.mask': ['BOOL', 3],
  'b.proj.weight': ['F32', 64, 64],
  'b.steps': ['I64'],
  'b.none.weight': ['F16', 0, 7],
  'decoder.proj.weight': ['F16', 64, 64],
};

function planOf(header: Header, overrides: Partial<Recipe> = {}, options: Partial<PlanOptions> = {}): Plan {
  return makePlan(header, defaultRecipe(overrides), { toolVersion: '1.2.3', ...options });
}

/** What a reader finds in the output. */
function readBack({ output }: Plan): Header {
  return parseHeader(output.headerBytes, output.fileSize);
}

function literals({ output }: Plan): Record<string, string> {
  return Object.fromEntries(
    output.tensors.flatMap(({ name, origin }) => (origin.kind === 'literal' ? [[name, new TextDecoder().decode(origin.bytes)]] : [])),
  );
}

function refusal(header: Header, overrides: Partial<Recipe>): EngineError {
  try {
    planOf(header, overrides);
  } catch (error) {
    if (error instanceof EngineError) return error;
  }
  throw new Error('was accepted');
}

describe.each<Partial<Recipe>>([
  { layout: 'comfyui' },
  { layout: 'comfyui', presets: ['t5xxl'] },
  { layout: 'comfyui-legacy' },
  { layout: 'comfyui-legacy', presets: ['t5xxl'] },
])('with %j', (overrides) => {
  const header = headerOf(MODEL, { format: 'pt' });
  const plan = planOf(header, overrides);

  it('every source tensor is named once, in file order', () => {
    expect(plan.tensors.map(({ source }) => source)).toEqual(header.tensors);
  });

  it('the output is a valid file of exactly the planned tensors, each aligned and as long as its origin', () => {
    const found = readBack(plan);
    expect(found.tensors.map(({ name, begin, end }) => [name, begin, end])).toEqual(
      plan.output.tensors.filter(({ begin, end }) => begin <= end).map(({ name, begin, end }) => [name, begin, end]),
    );
    for (const { dtype, begin, end, origin } of plan.output.tensors) {
      expect(begin % (DTYPES[dtype].bits / 8)).toBe(0);
      const elements = (tensor: { begin: number; end: number; dtype: keyof typeof DTYPES }) =>
        ((tensor.end - tensor.begin) * 8) / DTYPES[tensor.dtype].bits;
      if (origin.kind === 'copy') expect(end - begin).toBe(origin.source.end - origin.source.begin);
      if (origin.kind === 'codes') expect(end - begin).toBe(elements(origin.source));
      if (origin.kind === 'scale') expect([dtype, end - begin]).toEqual(['F32', 4]);
      if (origin.kind === 'literal') expect(end - begin).toBe(origin.bytes.length);
    }
  });

  it('a kept tensor is copied, a removed one is gone, a quantized one has codes and its scales', () => {
    for (const { source, action, quantization } of plan.tensors) {
      const outputs = plan.output.tensors.filter(({ origin }) => origin.kind !== 'literal' && origin.source === source);
      const kinds = outputs.map(({ origin }) => origin.kind).sort();
      if (action === 'remove') expect(kinds).toEqual([]);
      if (action === 'keep')
        expect(outputs).toMatchObject([{ name: source.name, dtype: source.dtype, shape: source.shape, origin: { kind: 'copy' } }]);
      if (action === 'quantize') {
        expect(kinds).toEqual(['codes', ...(quantization?.stored.scales.map(() => 'scale') ?? [])]);
        const codes = outputs.find(({ origin }) => origin.kind === 'codes');
        expect(codes).toMatchObject({ name: source.name, dtype: 'F8_E4M3', shape: source.shape });
      }
    }
    expect(plan.tensors.filter(({ action }) => action === 'quantize').length).toBeGreaterThan(1);
  });
});

describe('layout comfyui', () => {
  const plan = planOf(headerOf(MODEL, { format: 'pt', title: 'kept "as is"' }));
  const found = readBack(plan);

  it('has a scalar F32 scale and a description beside each quantized weight', () => {
    expect(found.byName.get('a.qkv.weight_scale')).toMatchObject({ dtype: 'F32', shape: [] });
    expect(found.byName.get('a.qkv.comfy_quant')).toMatchObject({ dtype: 'U8', shape: [26] });
    expect(literals(plan)).toEqual({
      'a.qkv.comfy_quant': '{"format":"float8_e4m3fn"}',
      'b.proj.comfy_quant': '{"format":"float8_e4m3fn"}',
      'decoder.proj.comfy_quant': '{"format":"float8_e4m3fn"}',
    });
  });

  it('describes every quantized layer in the metadata, and keeps the rest of it', () => {
    expect(found.metadata.get('format')).toBe('pt');
    expect(found.metadata.get('title')).toBe('kept "as is"');
    expect(JSON.parse(found.metadata.get('_quantization_metadata') ?? '')).toEqual({
      format_version: '1.0',
      layers: Object.fromEntries(['a.qkv', 'b.proj', 'decoder.proj'].map((layer) => [layer, { format: 'float8_e4m3fn' }])),
    });
  });

  it('extends what the source says of layers that are quantized already', () => {
    const described = JSON.stringify({ format_version: '1.0', layers: { old: { format: 'float8_e5m2' } } });
    const source = headerOf(
      { 'old.weight': ['F8_E5M2', 64, 64], 'old.weight_scale': ['F32'], 'new.weight': ['BF16', 64, 64] },
      { _quantization_metadata: described },
    );
    expect(JSON.parse(readBack(planOf(source)).metadata.get('_quantization_metadata') ?? '')).toEqual({
      format_version: '1.0',
      layers: { old: { format: 'float8_e5m2' }, new: { format: 'float8_e4m3fn' } },
    });
  });

  it.each(['not JSON', '[]', 'null', '{"layers":[]}', '{}'])('refuses to guess what the source means by %s', (text) => {
    const source = headerOf({ 'new.weight': ['BF16', 64, 64] }, { _quantization_metadata: text });
    expect(refusal(source, {})).toMatchObject({ code: 'InvalidRecipe' });
  });

  it('is refused beside the marker of the other layout', () => {
    const source = headerOf({
      scaled_fp8: ['F8_E4M3', 2],
      'old.weight': ['F8_E4M3', 64, 64],
      'old.scale_weight': ['F32'],
      'new.weight': ['BF16', 64, 64],
    });
    expect(refusal(source, {})).toMatchObject({ code: 'InvalidRecipe', details: { tensor: 'scaled_fp8' } });
    expect(planOf(source, { layout: 'comfyui-legacy' }).tensors.filter(({ action }) => action === 'quantize').length).toBe(1);
  });
});

describe('layout comfyui-legacy', () => {
  const found = readBack(planOf(headerOf(MODEL), { layout: 'comfyui-legacy' }));

  it('has a scalar F32 scale_weight, and the marker with two elements', () => {
    expect(found.byName.get('a.qkv.scale_weight')).toMatchObject({ dtype: 'F32', shape: [] });
    expect(found.byName.get('scaled_fp8')).toMatchObject({ dtype: 'F8_E4M3', shape: [2] });
    expect([...found.byName.keys()].filter((name) => /scale_input|comfy_quant|weight_scale/.test(name))).toEqual([]);
    expect(found.metadata.has('_quantization_metadata')).toBe(false);
  });

  it('has a scale_input with the same value and an empty marker for text encoders', () => {
    const plan = planOf(headerOf(MODEL), { layout: 'comfyui-legacy', presets: ['t5xxl'] });
    const encoder = readBack(plan);
    expect(encoder.byName.get('a.qkv.scale_input')).toMatchObject({ dtype: 'F32', shape: [] });
    expect(encoder.byName.get('scaled_fp8')).toMatchObject({ dtype: 'F8_E4M3', shape: [0] });
    const qkv = plan.tensors.find(({ source }) => source.name === 'a.qkv.weight');
    expect(qkv?.quantization?.stored.scales.map(({ name }) => name)).toEqual(['a.qkv.scale_weight', 'a.qkv.scale_input']);
  });

  it('puts the marker where a checkpoint has its diffusion model', () => {
    const checkpoint = headerOf({ 'model.diffusion_model.a.weight': ['F16', 64, 64], 'first_stage_model.b.weight': ['F16', 64, 64] });
    const names = [...readBack(planOf(checkpoint, { layout: 'comfyui-legacy' })).byName.keys()];
    expect(names.filter((name) => name.endsWith('scaled_fp8'))).toEqual(['model.diffusion_model.scaled_fp8']);
  });

  it('keeps a marker that is there, and is refused where it means another dtype', () => {
    const marked = (dtype: 'F8_E4M3' | 'F8_E5M2'): Header => headerOf({ scaled_fp8: [dtype, 0], 'new.weight': ['BF16', 64, 64] });
    const plan = planOf(marked('F8_E4M3'), { layout: 'comfyui-legacy' });
    expect(plan.output.tensors.filter(({ name }) => name === 'scaled_fp8')).toMatchObject([{ origin: { kind: 'copy' }, shape: [0] }]);
    expect(refusal(marked('F8_E5M2'), { layout: 'comfyui-legacy' })).toMatchObject({
      code: 'InvalidRecipe',
      details: { tensor: 'scaled_fp8' },
    });
  });

  it('is refused beside metadata that makes loaders ignore it', () => {
    const source = headerOf({ 'new.weight': ['BF16', 64, 64] }, { _quantization_metadata: '{"layers":{}}' });
    expect(refusal(source, { layout: 'comfyui-legacy' }).message).toContain('Choose the layout comfyui.');
  });
});

describe('a file with nothing to quantize', () => {
  it.each(['comfyui', 'comfyui-legacy'] as const)('is planned as a copy in layout %s, with a warning', (layout) => {
    const plan = planOf(headerOf({ 'a.bias': ['F32', 4] }), { layout });
    expect(plan.output.tensors.map(({ name, origin }) => [name, origin.kind])).toEqual([['a.bias', 'copy']]);
    expect(plan.warnings).toEqual([expect.stringContaining('Nothing to quantize')]);
    expect(readBack(plan).metadata.has('_quantization_metadata')).toBe(false);
  });
});

describe('where the file comes from', () => {
  it('is said beside what the source says, also of a source that was made the same way', () => {
    const first = readBack(planOf(headerOf(MODEL)));
    expect(first.metadata.get('fp8_quantizer.version')).toBe('1.2.3');
    expect(JSON.parse(first.metadata.get('fp8_quantizer.recipe') ?? '')).toEqual(defaultRecipe());
    const second = readBack(planOf(first, { seed: 7 }, { toolVersion: '2.0.0' }));
    expect(second.metadata.get('fp8_quantizer.version')).toBe('1.2.3');
    expect(second.metadata.get('fp8_quantizer.version.2')).toBe('2.0.0');
    expect(JSON.parse(second.metadata.get('fp8_quantizer.recipe.2') ?? '')).toMatchObject({ seed: 7 });
  });

  it('gives the same bytes in whatever order the recipe was written', () => {
    const recipe = defaultRecipe();
    const reversed = Object.fromEntries(Object.entries(recipe).reverse()) as unknown as Recipe;
    const header = headerOf(MODEL);
    expect(makePlan(header, reversed, { toolVersion: '1' }).output).toEqual(makePlan(header, recipe, { toolVersion: '1' }).output);
  });
});

it('tensors that must be kept after all are copied, and the layout forgets them', () => {
  const plan = planOf(headerOf(MODEL), {}, { keepAnyway: new Map([['b.proj.weight', 'NaN or infinity: 3 values.']]) });
  expect(plan.tensors.find(({ source }) => source.name === 'b.proj.weight')).toMatchObject({
    action: 'keep',
    reason: 'NaN or infinity: 3 values.',
  });
  const found = readBack(plan);
  expect(found.byName.get('b.proj.weight')?.dtype).toBe('F32');
  expect([...found.byName.keys()].filter((name) => /^b\.proj\.(weight_scale|comfy_quant)$/.test(name))).toEqual([]);
  expect(found.metadata.get('_quantization_metadata')).not.toContain('b.proj');
});

it('a dimension that no number can hold reaches the output unchanged', () => {
  const json = '{"x":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}';
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(new TextEncoder().encode(json), 8);
  const plan = planOf(parseHeader(bytes, bytes.length));
  expect(new TextDecoder().decode(plan.output.headerBytes)).toContain('"shape":[0,18446744073709551615]');
});

it('names that JavaScript objects have by themselves reach the output', () => {
  const layers = ['__proto__', 'constructor', 'toString'];
  const found = readBack(
    planOf(headerOf(Object.fromEntries(layers.map((layer): [string, TensorSpec] => [`${layer}.weight`, ['BF16', 64, 64]])))),
  );
  const { layers: described } = JSON.parse(found.metadata.get('_quantization_metadata') ?? '') as { layers: object };
  expect(Object.keys(described).sort()).toEqual([...layers].sort());
  for (const layer of layers) expect(found.byName.has(`${layer}.weight_scale`)).toBe(true);
});

describe('planInSlices', () => {
  it('stops often on the way to the same plan', () => {
    const tensors = Array.from({ length: 1000 }, (_, i) => [`blocks.${i}.weight`, ['F16', 64, 64]] as const);
    const header = headerOf(Object.fromEntries(tensors));
    const work = planInSlices(header, defaultRecipe(), { toolVersion: '1.2.3' });
    let stops = 0;
    let step = work.next();
    for (; step.done !== true; step = work.next()) stops++;
    // In each of deciding, naming, laying out and writing the header, one for a few hundred tensors.
    expect(stops).toBeGreaterThan(30);
    expect(JSON.stringify(step.value)).toBe(JSON.stringify(planOf(header)));
  });
});
