import { describe, expect, test } from 'vitest';
import { FAMILIES } from '../../../../src/engine/families/families';
import { familyRules } from '../../../../src/engine/families/familyRules';
import { recognise } from '../../../../src/engine/families/recognise';
import { KNOWN_FIXTURES } from '../../../fixtures/families/all';
import { headerOf } from '../../../fixtures/families/template';

function rulesOf(model: string, change: (lines: string) => string = (lines) => lines) {
  const { templates } = KNOWN_FIXTURES.find((fixture) => fixture.model === model)!;
  const header = headerOf(templates.map((template) => ({ ...template, lines: change(template.lines) })));
  return familyRules(header, recognise(header));
}

describe('first and last blocks', () => {
  test('are the first and last that the file has', () => {
    const patterns = rulesOf('LTX-2 19B').rules.map(({ pattern }) => pattern);
    expect(patterns.filter((pattern) => pattern.startsWith('^transformer_blocks.'))).toEqual([
      '^transformer_blocks.0.',
      '^transformer_blocks.1.',
      '^transformer_blocks.46.',
      '^transformer_blocks.47.',
    ]);
  });

  test('follow the depth of the model', () => {
    const { ruleOf } = rulesOf('LTX-2 19B', (lines) => lines.replaceAll('{0..47}', '{0..11}'));
    const kept = Array.from({ length: 12 }, (_, block) => block).filter(
      (block) => ruleOf(`model.diffusion_model.transformer_blocks.${block}.attn1.to_q.weight`) !== undefined,
    );
    expect(kept).toEqual([0, 1, 10, 11]);
  });

  test('that the file does not have are not kept', () => {
    const { rules } = rulesOf('LTX-2 19B', (lines) => lines.replaceAll('{0..47}', '0'));
    expect(rules.map(({ pattern }) => pattern).filter((pattern) => pattern.startsWith('^transformer_blocks.'))).toEqual([
      '^transformer_blocks.0.',
      '^transformer_blocks.0.',
    ]);
  });

  test('block 1 is not block 10', () => {
    const { ruleOf } = rulesOf('Qwen-Image');
    expect(ruleOf('transformer_blocks.0.img_mod.1.weight')?.action).toBe('keep');
    expect(ruleOf('transformer_blocks.10.img_mod.1.weight')).toBeUndefined();
  });
});

describe('rules', () => {
  test('say which family and why, in one sentence', () => {
    expect(rulesOf('FLUX.1-dev').ruleOf('final_layer.linear.weight')).toEqual({
      action: 'keep',
      family: 'flux1',
      pattern: '^final_layer.',
      reason: 'FLUX.1: final layer: its errors are in the result directly.',
    });
  });

  test('the end of a block is not the end of the model', () => {
    const { ruleOf } = rulesOf('FLUX.1-dev in diffusers');
    expect(ruleOf('proj_out.weight')?.action).toBe('keep');
    expect(ruleOf('single_transformer_blocks.0.proj_out.weight')).toBeUndefined();
  });

  test('hold within their component alone', () => {
    const { ruleOf } = rulesOf('FLUX.1-dev checkpoint with autoencoder and both text encoders');
    expect(ruleOf('vae.decoder.conv_in.weight')?.family).toBe('vae');
    expect(ruleOf('text_encoders.t5xxl.transformer.shared.weight')?.family).toBe('t5');
    expect(ruleOf('model.diffusion_model.single_blocks.0.linear1.weight')).toBeUndefined();
  });

  test('of an unknown file are none', () => {
    const header = headerOf([{ prefix: '', dtype: 'BF16', lines: 'a.weight 64x64' }]);
    expect(familyRules(header, recognise(header)).rules).toEqual([]);
  });
});

describe('the table', () => {
  test('names each family once', () => {
    const ids = FAMILIES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(FAMILIES.map(({ title }) => title)).size).toBe(ids.length);
  });

  test('specialises families that exist', () => {
    const ids = new Set<string>(FAMILIES.map(({ id }) => id));
    expect(FAMILIES.flatMap(({ specialises }) => specialises ?? []).filter((id) => !ids.has(id))).toEqual([]);
  });

  test('gives every rule a reason that can end a sentence', () => {
    const rules = FAMILIES.flatMap(({ keep, remove }) => [...keep, ...(remove ?? [])]);
    expect(rules.map(({ reason }) => reason).filter((reason) => reason.trim() === '' || reason.endsWith('.'))).toEqual([]);
  });

  test('finds a component by at least three tensors, so that one name in common never decides', () => {
    const few = FAMILIES.filter(({ signatures }) => signatures.some(({ tensors }) => tensors.length < 3)).map(({ id }) => id);
    expect(few).toEqual([]);
  });
});
