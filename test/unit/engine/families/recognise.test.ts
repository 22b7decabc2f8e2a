import { describe, expect, test } from 'vitest';
import { recognise } from '../../../../src/engine/families/recognise';
import { KNOWN_FIXTURES } from '../../../fixtures/families/all';
import { clipLines, openClipLines } from '../../../fixtures/families/parts';
import { headerOf, type TensorTemplate } from '../../../fixtures/families/template';

function templatesOf(model: string): readonly [TensorTemplate, ...TensorTemplate[]] {
  return KNOWN_FIXTURES.find((fixture) => fixture.model === model)!.templates;
}

function linesOf(model: string): string {
  return templatesOf(model)[0].lines;
}

describe('prefixes', () => {
  test.each(['', 'model.diffusion_model.', 'diffusion_model.', 'model.', 'net.', 'transformer.'])(
    'a diffusion model under "%s"',
    (prefix) => {
      const recognition = recognise(headerOf([{ prefix, dtype: 'BF16', lines: linesOf('FLUX.1-dev') }]));
      expect(recognition).toMatchObject({ family: 'flux1', prefix });
    },
  );

  test.each(['', 'text_encoders.qwen3_4b.transformer.', 'text_encoder.'])('a language model under "%s"', (prefix) => {
    const recognition = recognise(headerOf([{ prefix, dtype: 'BF16', lines: linesOf('Qwen3 4B') }]));
    expect(recognition).toMatchObject({ family: 'qwen3', prefix });
  });

  test('a decoder without its "model." is the same family', () => {
    const lines = linesOf('Qwen3 4B').replaceAll('model.', '');
    expect(recognise(headerOf([{ prefix: '', dtype: 'BF16', lines }]))).toMatchObject({ family: 'qwen3', prefix: '' });
  });

  test('an unusual prefix is not guessed at, and is named', () => {
    const recognition = recognise(headerOf([{ prefix: 'student.', dtype: 'BF16', lines: linesOf('FLUX.1-dev') }]));
    expect(recognition.family).toBe('unknown');
    expect(recognition.evidence).toContain('Not FLUX.1: `student.` is no prefix of such a model.');
  });
});

describe('files of several components', () => {
  test('a checkpoint: the diffusion model is the main one, each part has its prefix, and what is left is counted', () => {
    const recognition = recognise(headerOf(templatesOf('Stable Diffusion 1.5 checkpoint')));
    expect(recognition.components.map(({ family, prefix, tensorCount }) => [family, prefix, tensorCount])).toEqual([
      ['sd15', 'model.diffusion_model.', 686],
      ['clip-l', 'cond_stage_model.transformer.', 196],
      ['vae', 'first_stage_model.', 248],
    ]);
    expect(recognition.unrecognised).toEqual({ tensorCount: 2, examples: ['alphas_cumprod', 'betas'] });
  });

  test('two text encoders with different names', () => {
    const recognition = recognise(headerOf(templatesOf('Stable Diffusion XL checkpoint')));
    expect(recognition.components.map(({ family, naming, prefix, tensorCount }) => [family, naming, prefix, tensorCount])).toEqual([
      ['sdxl', 'original', 'model.diffusion_model.', 1680],
      ['clip-g', 'original', 'conditioner.embedders.1.model.', 390],
      ['clip-l', 'transformers', 'conditioner.embedders.0.transformer.', 196],
      ['vae', 'original', 'first_stage_model.', 248],
    ]);
  });

  test('a part within a model without prefix is counted by itself', () => {
    const recognition = recognise(
      headerOf([...templatesOf('FLUX.1-dev'), { prefix: 'vae.', dtype: 'BF16', lines: linesOf('Autoencoder of Stable Diffusion') }]),
    );
    expect(recognition.components.map(({ family, prefix, tensorCount }) => [family, prefix, tensorCount])).toEqual([
      ['flux1', '', 780],
      ['vae', 'vae.', 248],
    ]);
  });

  test('text encoders alone: the larger is the main one', () => {
    const recognition = recognise(
      headerOf([
        { prefix: 'text_encoders.clip_l.transformer.', dtype: 'F16', lines: clipLines(768, 12) },
        { prefix: 'text_encoders.clip_g.transformer.', dtype: 'F16', lines: clipLines(1280, 32) },
      ]),
    );
    expect(recognition.components.map(({ family }) => family)).toEqual(['clip-g', 'clip-l']);
  });
});

describe('shapes tell families apart that share their names', () => {
  test.each([
    ['Llama 3.1 8B', 'llama'],
    ['Mistral 7B v0.3', 'mistral'],
    ['Gemma 2B', 'gemma1'],
    ['Lumina Image 2', 'lumina2'],
    ['Z-Image Turbo', 'zimage'],
  ])('%s', (model, family) => {
    expect(recognise(headerOf(templatesOf(model))).family).toBe(family);
  });

  test('a UNet that attends to text of an unknown width is unknown, and the width is named', () => {
    const lines = linesOf('Stable Diffusion 1.5 in diffusers').replaceAll('x768', 'x999');
    const recognition = recognise(headerOf([{ prefix: '', dtype: 'F16', lines }]));
    expect(recognition.family).toBe('unknown');
    expect(recognition.evidence).toContain(
      'Not Stable Diffusion 1: `down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight` is [320, 999], not [320, 768].',
    );
  });
});

describe('nothing is guessed', () => {
  test('one tensor missing of a signature is one too many', () => {
    const lines = linesOf('FLUX.1-dev')
      .split('\n')
      .filter((line) => !line.includes('vector_in,') && !line.includes('vector_in.'))
      .join('\n');
    const recognition = recognise(headerOf([{ prefix: '', dtype: 'BF16', lines }]));
    expect(recognition.family).toBe('unknown');
    expect(recognition.evidence).toContain('Not FLUX.1: `vector_in.in_layer.weight` is missing.');
  });

  test('where two families fit alike, neither is taken', () => {
    const lines = clipLines(768, 12) + openClipLines(1280, 32).replace('text_projection', 'projection');
    const recognition = recognise(headerOf([{ prefix: '', dtype: 'F16', lines }]));
    expect(recognition.family).toBe('unknown');
    expect(recognition.evidence).toEqual([
      'CLIP-L text encoder and CLIP-G text encoder fit the tensors under `` alike, so neither is assumed.',
    ]);
  });

  test('a LoRA for FLUX.1 is not FLUX.1', () => {
    const lines = `
      transformer.single_transformer_blocks.{0..37}.attn.to_q.lora_A.weight 16x3072
      transformer.single_transformer_blocks.{0..37}.attn.to_q.lora_B.weight 3072x16
    `;
    expect(recognise(headerOf([{ prefix: '', dtype: 'BF16', lines }])).family).toBe('unknown');
  });

  test('an empty file is unknown', () => {
    expect(recognise(headerOf([]))).toMatchObject({ family: 'unknown', evidence: ['The file has no tensors.'] });
  });
});
