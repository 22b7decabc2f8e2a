/** Every layout × target × granularity is either stored in the shapes that its loader reads, or refused with what to choose instead. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src/engine/errors';
import { GRANULARITIES, TARGETS, type GranularityName, type Target } from '../../../../src/engine/plan/encoding';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import type { Plan } from '../../../../src/engine/plan/plan';
import { defaultRecipe, LAYOUTS, type Layout, type Recipe } from '../../../../src/engine/plan/recipe';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MODEL: Readonly<Record<string, TensorSpec>> = {
  'a.proj.weight': ['BF16', 256, 96],
  'b.proj.weight': ['BF16', 96, 256],
  'c.norm.weight': ['BF16', 96],
};

function planOf(overrides: Partial<Recipe>, model: Readonly<Record<string, TensorSpec>> = MODEL): Plan {
  return makePlan(headerOf(model), defaultRecipe({ rounding: 'nearest', ...overrides }), { toolVersion: '1.2.3' });
}

function refusal(overrides: Partial<Recipe>, model?: Readonly<Record<string, TensorSpec>>): string | undefined {
  try {
    planOf(overrides, model);
    return undefined;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'InvalidRecipe') return error.message;
    throw error;
  }
}

/** `name: dtype [shape]` of everything that belongs to a layer. */
function storedAs(layer: string, overrides: Partial<Recipe>, model?: Readonly<Record<string, TensorSpec>>): readonly string[] {
  const { output } = planOf(overrides, model);
  const { tensors } = parseHeader(output.headerBytes, output.fileSize);
  return tensors
    .filter(({ name }) => name.startsWith(`${layer}.`))
    .map(({ name, dtype, shape }) => `${name.slice(layer.length + 1)}: ${dtype} [${shape.join(', ')}]`)
    .sort();
}

const COMFY_QUANT = 'comfy_quant: U8 ';
/** What loaders take: the layout, the target, the granularities and what a 256 × 96 layer becomes. */
const TAKEN: readonly (readonly [Layout, Target, GranularityName, readonly string[]])[] = [
  ['comfyui', 'float8_e4m3fn', 'tensor', [`${COMFY_QUANT}[26]`, 'weight: F8_E4M3 [256, 96]', 'weight_scale: F32 []']],
  ['comfyui', 'float8_e5m2', 'tensor', [`${COMFY_QUANT}[24]`, 'weight: F8_E5M2 [256, 96]', 'weight_scale: F32 []']],
  ['comfyui', 'int8', 'row', [`${COMFY_QUANT}[28]`, 'weight: I8 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['comfyui', 'int8', 'tensor', [`${COMFY_QUANT}[28]`, 'weight: I8 [256, 96]', 'weight_scale: F32 []']],
  ['comfyui', 'mxfp8', 'block', [`${COMFY_QUANT}[18]`, 'weight: F8_E4M3 [256, 96]', 'weight_scale: U8 [256, 4]']],
  ['comfyui', 'nvfp4', 'block', [`${COMFY_QUANT}[18]`, 'weight: U8 [256, 48]', 'weight_scale: F8_E4M3 [256, 8]', 'weight_scale_2: F32 []']],
  ['comfyui-legacy', 'float8_e4m3fn', 'tensor', ['scale_weight: F32 []', 'weight: F8_E4M3 [256, 96]']],
  ['compressed-tensors', 'float8_e4m3fn', 'row', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['compressed-tensors', 'float8_e4m3fn', 'tensor', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 [1]']],
  ['compressed-tensors', 'float8_e4m3fn', 'block', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 [8, 3]']],
  ['compressed-tensors', 'int8', 'row', ['weight: I8 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['compressed-tensors', 'int8', 'tensor', ['weight: I8 [256, 96]', 'weight_scale: F32 [1]']],
  ['compressed-tensors', 'mxfp8', 'block', ['weight: F8_E4M3 [256, 96]', 'weight_scale: U8 [256, 3]']],
  [
    'compressed-tensors',
    'nvfp4',
    'block',
    ['weight_global_scale: F32 [1]', 'weight_packed: U8 [256, 48]', 'weight_scale: F8_E4M3 [256, 6]'],
  ],
  ['huggingface', 'float8_e4m3fn', 'block', ['weight: F8_E4M3 [256, 96]', 'weight_scale_inv: F32 [8, 3]']],
  ['plain', 'float8_e4m3fn', 'tensor', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 []']],
  ['plain', 'float8_e4m3fn', 'row', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['plain', 'float8_e4m3fn', 'block', ['weight: F8_E4M3 [256, 96]', 'weight_scale: F32 [8, 3]']],
  ['plain', 'float8_e5m2', 'tensor', ['weight: F8_E5M2 [256, 96]', 'weight_scale: F32 []']],
  ['plain', 'float8_e5m2', 'row', ['weight: F8_E5M2 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['plain', 'float8_e5m2', 'block', ['weight: F8_E5M2 [256, 96]', 'weight_scale: F32 [8, 3]']],
  ['plain', 'int8', 'row', ['weight: I8 [256, 96]', 'weight_scale: F32 [256, 1]']],
  ['plain', 'int8', 'tensor', ['weight: I8 [256, 96]', 'weight_scale: F32 []']],
  ['plain', 'int8', 'block', ['weight: I8 [256, 96]', 'weight_scale: F32 [8, 3]']],
  ['plain', 'mxfp8', 'block', ['weight: F8_E4M3 [256, 96]', 'weight_scale: U8 [256, 3]']],
  ['plain', 'nvfp4', 'block', ['weight: U8 [256, 48]', 'weight_scale: F8_E4M3 [256, 6]', 'weight_scale_2: F32 []']],
];

function blocksFor(target: Target): Partial<Recipe> {
  return target === 'mxfp8' || target === 'nvfp4' ? {} : { blockSize: [32, 32] };
}

describe('what loaders take', () => {
  it.each(TAKEN)('%s, %s, %s', (layout, target, granularity, stored) => {
    expect(storedAs('a.proj', { layout, target, granularity, ...blocksFor(target) })).toEqual([...stored].sort());
  });

  it('auto is the first of what the layout has for the target', () => {
    for (const layout of LAYOUTS) {
      for (const target of TARGETS) {
        const first = TAKEN.find((taken) => taken[0] === layout && taken[1] === target);
        if (first === undefined) expect(refusal({ layout, target })).toMatch(/Choose/);
        else expect(planOf({ layout, target }).tensors[0]?.quantization?.encoding.granularity.kind).toBe(first[2]);
      }
    }
  });

  it('everything else is refused, in sentences that end in what to choose', () => {
    for (const layout of LAYOUTS) {
      for (const target of TARGETS) {
        for (const granularity of GRANULARITIES.filter((name) => name !== 'auto')) {
          const taken = TAKEN.some((row) => row[0] === layout && row[1] === target && row[2] === granularity);
          const message = refusal({ layout, target, granularity, ...blocksFor(target) });
          if (taken) expect(message).toBeUndefined();
          else expect(message).toMatch(/^[A-Zmnc].*\. (Choose|Leave) .*\.$/);
        }
      }
    }
  });

  it('names the layouts that have what this one has not', () => {
    expect(refusal({ layout: 'huggingface', target: 'int8' })).toMatch(
      /or the layout compressed-tensors for int8 with one scale for each row\.$/,
    );
    expect(refusal({ granularity: 'row' })).toMatch(/Choose granularity tensor, or the layout plain for float8_e4m3fn/);
    expect(refusal({ layout: 'comfyui-legacy', target: 'float8_e5m2' })).toMatch(/the target float8_e4m3fn, or the layout comfyui for/);
  });
});

describe('padded and packed', () => {
  const odd: Readonly<Record<string, TensorSpec>> = { 'a.proj.weight': ['BF16', 130, 72] };

  it('ComfyUI reads codes padded to 32 or 16 and scales in tiles of 128 × 4', () => {
    expect(storedAs('a.proj', { target: 'mxfp8' }, odd)).toContain('weight: F8_E4M3 [160, 96]');
    expect(storedAs('a.proj', { target: 'mxfp8' }, odd)).toContain('weight_scale: U8 [256, 4]');
    expect(storedAs('a.proj', { target: 'nvfp4' }, odd)).toContain('weight: U8 [144, 40]');
    expect(storedAs('a.proj', { target: 'nvfp4' }, odd)).toContain('weight_scale: F8_E4M3 [256, 8]');
  });

  it('a matrix that does not divide is kept where the loader asks for whole blocks, and stored with smaller ones at the edges elsewhere', () => {
    const keptBy = (overrides: Partial<Recipe>): unknown => planOf(overrides, odd).tensors[0];
    const block = { granularity: 'block', blockSize: [32, 32] } as const;
    expect(keptBy({ layout: 'compressed-tensors', ...block })).toMatchObject({ action: 'keep', rule: 'layout' });
    expect(keptBy({ layout: 'compressed-tensors', target: 'nvfp4' })).toMatchObject({ action: 'keep', rule: 'layout' });
    expect(keptBy({ layout: 'huggingface', ...block })).toMatchObject({ action: 'keep', rule: 'layout' });
    expect(storedAs('a.proj', { layout: 'plain', ...block }, odd)).toContain('weight_scale: F32 [5, 3]');
    expect(storedAs('a.proj', { layout: 'plain', target: 'mxfp8' }, odd)).toContain('weight_scale: U8 [130, 3]');
  });
});

describe('blocks for transformers, which takes their size from the number of scales', () => {
  const planned = (rows: number, columns: number): unknown =>
    planOf({ layout: 'huggingface' }, { 'a.proj.weight': ['BF16', rows, columns] }).tensors[0];

  it('are whole, or one that is larger than the matrix', () => {
    expect(planned(256, 96)).toMatchObject({ action: 'quantize' });
    expect(planned(70, 384)).toMatchObject({ action: 'quantize' });
  });

  it('else the matrix is kept, and a size that does is named', () => {
    const reason = (text: string): object => ({ action: 'keep', rule: 'layout', reason: expect.stringContaining(text) as string });
    // Two rows of scales for 192 rows would be read as blocks of 96.
    expect(planned(192, 256)).toMatchObject(
      reason('192 × 256 does not divide into 128 × 128 blocks, as transformers asks; block:64x64 does.'),
    );
    expect(planned(704, 208)).toMatchObject(reason('block:16x16 does.'));
    expect(planned(130, 256)).toMatchObject(reason('the layout compressed-tensors takes any shape.'));
  });
});

describe('refused because of what the model has', () => {
  it('convolutions that are asked for, except in the layout plain', () => {
    const model: Readonly<Record<string, TensorSpec>> = { ...MODEL, 'conv.weight': ['F16', 32, 16, 3, 3] };
    for (const layout of LAYOUTS.filter((name) => name !== 'plain')) {
      expect(refusal({ layout, convolutions: 'quantize' }, model)).toMatch(
        /^"conv\.weight" cannot be quantized\. .* choose the layout plain/,
      );
    }
    expect(storedAs('conv', { layout: 'plain', convolutions: 'quantize' }, model)).toContain('weight: F8_E4M3 [32, 16, 3, 3]');
    expect(refusal({}, model)).toBeUndefined();
  });

  it('one scale for each of several projections that vLLM joins', () => {
    const model: Readonly<Record<string, TensorSpec>> = {
      'l.0.self_attn.q_proj.weight': ['BF16', 64, 64],
      'l.0.self_attn.k_proj.weight': ['BF16', 64, 64],
    };
    const tensor = { layout: 'compressed-tensors', granularity: 'tensor' } as const;
    expect(refusal(tensor, model)).toMatch(/l\.0\.self_attn\.q_proj with l\.0\.self_attn\.k_proj.*Choose granularity row\./);
    expect(refusal({ ...tensor, granularity: 'row' }, model)).toBeUndefined();
    expect(refusal({ ...tensor, overrides: [{ match: '*.self_attn.*', action: 'keep' }] }, model)).toBeUndefined();
  });

  it('two block sizes for transformers', () => {
    const overrides = [{ match: 'a.*', action: 'quantize', blockSize: [32, 32] }] as const;
    expect(refusal({ layout: 'huggingface', overrides })).toMatch(/block:32x32 and block:128x128|block:128x128 and block:32x32/);
  });

  it('tpec for anything but one scale of E4M3', () => {
    expect(refusal({ rounding: 'tpec', target: 'int8' })).toMatch(/tpec/);
    expect(refusal({ rounding: 'tpec' })).toBeUndefined();
  });
});

describe('a block size', () => {
  const blocksOf = (overrides: Partial<Recipe>): unknown => {
    const { tensors, output } = planOf({ layout: 'huggingface', ...overrides }, { 'a.proj.weight': ['BF16', 256, 256] });
    const said = parseHeader(output.headerBytes, output.fileSize).metadata.get('fp8_quantizer.recipe') ?? '{}';
    return [tensors[0]?.quantization?.encoding.granularity, (JSON.parse(said) as { readonly blockSize?: unknown }).blockSize];
  };

  it('that was left behind by an earlier choice decides nothing: auto takes the usual blocks, and the file says so', () => {
    expect(blocksOf({ granularity: 'auto', blockSize: [256, 256] })).toEqual([{ kind: 'block', rows: 128, columns: 128 }, [128, 128]]);
    expect(blocksOf({ granularity: 'block', blockSize: [256, 256] })).toEqual([{ kind: 'block', rows: 256, columns: 256 }, [256, 256]]);
  });

  it('of an override counts by itself, and one without takes the recipe’s', () => {
    const own = { match: 'a.*', action: 'quantize', blockSize: [64, 64] } as const;
    expect(blocksOf({ overrides: [own] })).toEqual([{ kind: 'block', rows: 64, columns: 64 }, [128, 128]]);
    const common = { match: 'a.*', action: 'quantize', granularity: 'block' } as const;
    expect(blocksOf({ blockSize: [32, 32], overrides: [common] })).toEqual([{ kind: 'block', rows: 32, columns: 32 }, [32, 32]]);
  });
});

it.each(['mxfp8', 'nvfp4'] as const)('%s has blocks of its own, and takes no others', (target) => {
  const layout = 'compressed-tensors';
  expect(refusal({ layout, target, granularity: 'block', blockSize: [32, 48] })).toMatch(
    /by definition\. Leave the granularity at auto\.$/,
  );
  const override = { match: 'a.*', action: 'quantize', target, granularity: 'block' } as const;
  expect(refusal({ layout, overrides: [{ ...override, blockSize: [128, 128] }] })).toMatch(/by definition/);
  expect(refusal({ layout, overrides: [{ ...override, blockSize: [1, target === 'mxfp8' ? 32 : 16] }] })).toBeUndefined();
  expect(refusal({ layout, overrides: [override] })).toBeUndefined();
});

describe('overrides', () => {
  const overrides = [
    { match: '*', action: 'quantize', target: 'int8' },
    { match: 'b.*', action: 'quantize', target: 'float8_e5m2', rounding: 'learned' },
  ] as const;

  it('give tensors a target, a granularity and a rounding of their own, the last one that matches', () => {
    const { tensors } = planOf({ overrides });
    expect(tensors[0]?.quantization).toMatchObject({ encoding: { target: 'int8', granularity: { kind: 'row' } }, rounding: 'nearest' });
    expect(tensors[1]?.quantization).toMatchObject({ encoding: { target: 'float8_e5m2' }, rounding: 'learned' });
    expect(tensors.slice(0, 2).map(({ reason }) => reason)).toEqual([
      'Override: * → quantize as int8.',
      'Override: b.* → quantize as float8_e5m2, learned.',
    ]);
    expect(tensors[1]?.quantization?.statistics).toBeDefined();
    expect(tensors[0]?.quantization?.statistics).toBeUndefined();
  });

  it('give tensors a granularity of their own, and a block size', () => {
    const { tensors } = planOf({
      layout: 'plain',
      granularity: 'row',
      overrides: [{ match: 'a.*', action: 'quantize', granularity: 'block', blockSize: [32, 48] }],
    });
    expect(tensors[0]?.quantization?.encoding.granularity).toEqual({ kind: 'block', rows: 32, columns: 48 });
    expect(tensors[0]?.reason).toBe('Override: a.* → quantize as block:32x48.');
    expect(tensors[1]?.quantization?.encoding.granularity).toEqual({ kind: 'row' });
  });

  it('are described layer by layer', () => {
    const { output } = planOf({ overrides });
    const metadata = parseHeader(output.headerBytes, output.fileSize).metadata.get('_quantization_metadata') ?? '';
    expect(JSON.parse(metadata)).toMatchObject({
      layers: { 'a.proj': { format: 'int8_tensorwise' }, 'b.proj': { format: 'float8_e5m2' } },
    });
  });

  it('are refused where the layout does not have it', () => {
    expect(refusal({ layout: 'huggingface', overrides })).toMatch(/transformers/);
  });
});

it('keeps what is smaller than the recipe says', () => {
  expect(planOf({ minElements: 256 * 96 + 1 }).tensors.map(({ rule }) => rule)).toEqual(['tiny', 'tiny', 'norm']);
  expect(planOf({ minElements: 256 * 96 }).tensors[0]?.action).toBe('quantize');
});
