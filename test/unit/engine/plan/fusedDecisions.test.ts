/** Projections that vLLM joins are planned all alike, kept together, or refused with what to do instead. */
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import type { Override } from '../../../../src/engine/plan/overrides';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

const MODEL: Readonly<Record<string, TensorSpec>> = {
  'l.0.self_attn.q_proj.weight': ['BF16', 256, 128],
  'l.0.self_attn.k_proj.weight': ['BF16', 128, 128],
  'l.0.self_attn.v_proj.weight': ['BF16', 128, 128],
  'l.0.self_attn.o_proj.weight': ['BF16', 128, 256],
  'l.0.mlp.gate_proj.weight': ['BF16', 256, 128],
  'l.0.mlp.up_proj.weight': ['BF16', 256, 128],
};

function actions(recipe: Partial<Recipe>, model = MODEL, keepAnyway = new Map<string, string>()): Readonly<Record<string, string>> {
  const { tensors } = makePlan(headerOf(model), defaultRecipe({ rounding: 'nearest', ...recipe }), { toolVersion: '1', keepAnyway });
  return Object.fromEntries(tensors.map(({ source: { name }, action, reason }) => [name.split('.')[3] ?? name, `${action}: ${reason}`]));
}

const keep = (match: string): Override => ({ match, action: 'keep' });

describe.each(['compressed-tensors', 'huggingface'] as const)('%s', (layout) => {
  it('refuses to quantize some of them and keep others', () => {
    expect(() => actions({ layout, overrides: [keep('*k_proj*')] })).toThrow(
      /^vLLM joins .*q_proj and .*k_proj and .*v_proj into one layer, .*q_proj in float8_e4m3fn.*k_proj kept\. Keep them all, .*\(q_proj\|k_proj\|v_proj\)/,
    );
    expect(() => actions({ layout, overrides: [keep('*up_proj*')] })).toThrow(/gate_proj and l\.0\.mlp\.up_proj/);
    const tiny: Partial<Recipe> = { layout, minElements: 20_000 };
    expect(() => actions({ ...tiny, overrides: [{ match: '*v_proj*', action: 'quantize' }] })).toThrow(/refuses it where they differ/);
  });

  it('takes them all kept, as its own remedy says, and leaves other layers alone', () => {
    expect(actions({ layout, overrides: [keep('/\\.(q_proj|k_proj|v_proj)\\./')] })).toMatchObject({
      q_proj: expect.stringMatching(/^keep: Override/) as string,
      up_proj: expect.stringMatching(/^quantize/) as string,
    });
    expect(actions({ layout, overrides: [keep('*o_proj*')] })).toMatchObject({ q_proj: expect.stringMatching(/^quantize/) as string });
  });

  it('keeps the whole set where one is too small or cannot be quantized, and says why', () => {
    expect(actions({ layout, minElements: 20_000 })).toMatchObject({
      q_proj: expect.stringMatching(/^keep: Fused: vLLM joins it with .*k_proj, which is kept \(Tiny: /) as string,
      k_proj: expect.stringMatching(/^keep: Tiny/) as string,
      o_proj: expect.stringMatching(/^quantize/) as string,
    });
    const told = new Map([['l.0.mlp.up_proj.weight', 'NaN or infinity: one value that FP8 cannot hold.']]);
    expect(actions({ layout, overrides: [{ match: '*', action: 'quantize' }] }, MODEL, told)).toMatchObject({
      gate_proj: expect.stringMatching(/^keep: Fused: .*up_proj, which is kept \(.*NaN/) as string,
      q_proj: expect.stringMatching(/^quantize/) as string,
    });
  });
});

it('joins the experts of Mixtral and the latent attention of DeepSeek, and nothing else of those names', () => {
  const joined = (names: readonly string[]): string => {
    const model = Object.fromEntries(names.map((name, i) => [`${name}.weight`, ['BF16', i === 0 ? 8 : 64, 128]] as const)) as typeof MODEL;
    const recipe = defaultRecipe({ layout: 'compressed-tensors', minElements: 2048 });
    return makePlan(headerOf(model), recipe, { toolVersion: '1' })
      .tensors.map(({ rule }) => rule)
      .join(' ');
  };
  const expert = 'model.layers.0.block_sparse_moe.experts.3';
  const attention = 'model.layers.0.self_attn';
  // The first is too small to be quantized.
  expect(joined([`${expert}.w1`, `${expert}.w3`, `${expert}.w2`])).toBe('tiny fused linear');
  expect(joined([`${attention}.q_a_proj`, `${attention}.kv_a_proj_with_mqa`])).toBe('tiny fused');
  expect(joined(['layers.0.feed_forward.w1', 'layers.0.feed_forward.w3'])).toBe('tiny linear');
  expect(joined([`${expert}.w1`, 'model.layers.0.block_sparse_moe.experts.4.w3'])).toBe('tiny linear');
});

it('refuses different targets and granularities within a set', () => {
  const layout = 'compressed-tensors';
  expect(() => actions({ layout, overrides: [{ match: '*k_proj*', action: 'quantize', target: 'mxfp8' }] })).toThrow(
    /q_proj in float8_e4m3fn row and .*k_proj in mxfp8\. Give them all the same/,
  );
  expect(() => actions({ layout, overrides: [{ match: '*up_proj*', action: 'quantize', granularity: 'block' }] })).toThrow(/block:128x128/);
  expect(actions({ layout, overrides: [{ match: '*_proj*', action: 'quantize', target: 'mxfp8' }] })['q_proj']).toMatch(/^quantize/);
});

it.each(['comfyui', 'comfyui-legacy', 'plain'] as const)('leaves them apart in the layout %s, whose loaders do', (layout) => {
  expect(actions({ layout, overrides: [keep('*k_proj*')] })).toMatchObject({
    q_proj: expect.stringMatching(/^quantize/) as string,
    k_proj: expect.stringMatching(/^keep/) as string,
  });
});
