/** Sources that are quantized already: every layout read back as numbers, stored as another layout has it, and rounded anew. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Recipe } from '../../../../src/engine/plan/recipe';
import { openModel } from '../../../../src/engine/safetensors/modelSource';
import { engineScene } from '../../../support/engineScene';
import { contentsOf, numbers, storedConversions } from '../../../support/storedConversions';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();

/** Every job starts a process, on machines that may be busy with others. */
const MANY_JOBS_MS = 180_000;

const MODEL: readonly ModelTensor[] = [
  { name: 'blocks.0.attn.qkv.weight', dtype: 'BF16', shape: [384, 128] },
  { name: 'blocks.0.attn.qkv.bias', dtype: 'BF16', shape: [384] },
  { name: 'blocks.0.mlp.up.weight', dtype: 'F32', shape: [256, 128] },
  { name: 'blocks.0.mlp.down.weight', dtype: 'F16', shape: [128, 256] },
  { name: 'blocks.0.norm.weight', dtype: 'F32', shape: [128] },
];
const QUANTIZED = ['blocks.0.attn.qkv.weight', 'blocks.0.mlp.up.weight', 'blocks.0.mlp.down.weight'];

const FORMS: readonly Pick<Recipe, 'layout' | 'target' | 'granularity'>[] = [
  { layout: 'comfyui', target: 'float8_e4m3fn', granularity: 'tensor' },
  { layout: 'comfyui', target: 'float8_e5m2', granularity: 'tensor' },
  { layout: 'comfyui', target: 'int8', granularity: 'row' },
  { layout: 'comfyui', target: 'mxfp8', granularity: 'auto' },
  { layout: 'comfyui', target: 'nvfp4', granularity: 'auto' },
  { layout: 'comfyui-legacy', target: 'float8_e4m3fn', granularity: 'tensor' },
  { layout: 'compressed-tensors', target: 'float8_e4m3fn', granularity: 'row' },
  { layout: 'compressed-tensors', target: 'float8_e4m3fn', granularity: 'block' },
  { layout: 'compressed-tensors', target: 'int8', granularity: 'row' },
  { layout: 'compressed-tensors', target: 'nvfp4', granularity: 'auto' },
  { layout: 'huggingface', target: 'float8_e4m3fn', granularity: 'block' },
  { layout: 'plain', target: 'float8_e4m3fn', granularity: 'tensor' },
  { layout: 'plain', target: 'float8_e4m3fn', granularity: 'row' },
  { layout: 'plain', target: 'float8_e5m2', granularity: 'block' },
  { layout: 'plain', target: 'mxfp8', granularity: 'auto' },
  { layout: 'plain', target: 'nvfp4', granularity: 'auto' },
];

const { path, converted, worked } = storedConversions(scene);

describe.each(FORMS)('$target by $granularity in $layout', (form) => {
  it('is read back as the numbers of the model, near what they were', async () => {
    await writeModel(scene.source, MODEL, { format: 'pt' });
    const file = await converted('quantized', form);
    const back = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, file, path('back')));
    const source = await contentsOf(scene.source);
    expect([...back.tensors.keys()].sort()).toEqual([...source.tensors.keys()].sort());
    expect([...back.metadata]).toEqual([['format', 'pt']]);
    for (const [name, { dtype, shape, bytes }] of source.tensors) {
      const found = back.tensors.get(name);
      expect([name, found?.shape], name).toEqual([name, shape]);
      if (QUANTIZED.includes(name)) {
        expect(found?.dtype).toBe('F32');
      } else expect([found?.dtype, found?.bytes]).toEqual([dtype, bytes]);
    }
    const up = numbers(back.tensors.get('blocks.0.mlp.up.weight')!);
    const truth = numbers(source.tensors.get('blocks.0.mlp.up.weight')!);
    const error = Math.sqrt(
      up.reduce((sum, value, i) => sum + (value - truth[i]!) ** 2, 0) / truth.reduce((sum, value) => sum + value ** 2, 0),
    );
    expect(error).toBeGreaterThan(0.001);
    expect(error).toBeLessThan(form.target === 'nvfp4' ? 0.13 : form.target === 'float8_e5m2' ? 0.06 : 0.04);
  });
});

describe('migrating', () => {
  it.each([
    [FORMS[5]!, FORMS[0]!],
    [FORMS[0]!, FORMS[5]!],
    [FORMS[0]!, FORMS[11]!],
    [FORMS[11]!, FORMS[0]!],
    [FORMS[3]!, FORMS[14]!],
    [FORMS[14]!, FORMS[3]!],
    [FORMS[4]!, FORMS[15]!],
    [FORMS[15]!, FORMS[4]!],
    [FORMS[12]!, FORMS[6]!],
  ])('from %o to %o gives what converting to it gives', async (from, to) => {
    await writeModel(scene.source, MODEL, { format: 'pt' });
    const file = await converted('from', from);
    const direct = await contentsOf(await converted('to', to));
    const migrated = await contentsOf(await worked({ kind: 'migrate', layout: to.layout }, file, path('migrated')));
    expect(migrated.tensors).toEqual(direct.tensors);
    expect(migrated.metadata.get('_quantization_metadata')).toEqual(direct.metadata.get('_quantization_metadata'));
    expect(migrated.metadata.get('format')).toBe('pt');
  });

  it.each([
    [FORMS[6]!, 'comfyui', /float8_e4m3fn with one scale for each row\. Stock ComfyUI reads one scale/],
    [FORMS[4]!, 'compressed-tensors', /two codes of a byte in the other order/],
    [FORMS[1]!, 'compressed-tensors', /float8_e5m2 with one scale for the whole tensor\. compressed-tensors knows/],
    [FORMS[0]!, 'comfyui', /is in the layout comfyui already/],
  ] as const)('refuses from %o to %s, and says why', async (from, layout, message) => {
    await writeModel(scene.source, MODEL);
    const file = await converted('from', from);
    const events = await scene.run(scene.request({ source: file, output: path('migrated'), work: { kind: 'migrate', layout } }));
    const end = events.at(-1);
    expect(end).toMatchObject({ type: 'failed', error: { code: 'InvalidRecipe' } });
    expect(end?.type === 'failed' ? end.error.message : '').toMatch(message);
  });
});

it(
  'rounds anew what the codes stand for: as the dequantized model would be, with and without a scale',
  async () => {
    await writeModel(scene.source, MODEL);
    for (const rounding of ['nearest', 'learned'] as const) {
      const file = await converted(`a-${rounding}`, FORMS[8]!);
      const back = await worked({ kind: 'dequantize', dtype: 'F32' }, file, path(`b-${rounding}`));
      const again = await converted(`c-${rounding}`, { rounding, layout: 'comfyui', quantized: 'requantize' }, file);
      const direct = await contentsOf(await converted(`d-${rounding}`, { rounding, layout: 'comfyui' }, back));
      expect((await contentsOf(again)).tensors).toEqual(direct.tensors);
    }
    const kept = await contentsOf(
      await converted(
        'kept',
        { layout: 'comfyui', quantized: 'requantize', overrides: [{ match: '*.up.*', action: 'keep' }] },
        path('a-nearest'),
      ),
    );
    expect(kept.tensors.get('blocks.0.mlp.up.weight')?.dtype).toBe('BF16');
    expect(kept.tensors.has('blocks.0.mlp.up.weight_scale')).toBe(false);
  },
  MANY_JOBS_MS,
);

describe('verifying what was rounded anew', () => {
  it.each(FORMS)(
    'goes by the numbers that $target by $granularity in $layout stands for',
    async (form) => {
      await writeModel(scene.source, MODEL);
      const source = await converted('source', form);
      const recipe = { layout: 'comfyui', quantized: 'requantize', granularity: 'auto', rounding: 'learned' } as const;
      const again = await converted('again', { ...recipe, overrides: [{ match: '*.up.*', action: 'keep' }] }, source);
      const report = await scene.verify({ converted: again, source });
      expect(report.tensors.flatMap(({ problems }) => problems)).toEqual([]);
      expect(report.ok).toBe(true);
      const states = new Map(report.tensors.map(({ name, state }) => [name, state]));
      expect([...states].sort()).toEqual([
        ['blocks.0.attn.qkv.bias', 'kept'],
        ['blocks.0.attn.qkv.weight', 'quantized'],
        ['blocks.0.mlp.down.weight', 'quantized'],
        ['blocks.0.mlp.up.weight', 'dequantized'],
        ['blocks.0.norm.weight', 'kept'],
      ]);
    },
    MANY_JOBS_MS,
  );

  it('finds codes that are not their own, and numbers that the codes do not stand for', async () => {
    await writeModel(scene.source, MODEL);
    const source = await converted('source', FORMS[8]!);
    const again = await converted('again', { quantized: 'requantize', overrides: [{ match: '*.up.*', action: 'keep' }] }, source);
    const model = await openModel(again);
    const bytes = await readFile(again);
    for (const name of ['blocks.0.attn.qkv.weight', 'blocks.0.mlp.up.weight']) {
      const { begin, end } = model.header.byName.get(name)!;
      // Halves exchanged: bytes in the other order could be NaN.
      const half = bytes.subarray(begin, (begin + end) / 2).map((byte) => byte);
      bytes.copyWithin(begin, (begin + end) / 2, end);
      bytes.set(half, (begin + end) / 2);
    }
    await model.close();
    await writeFile(again, bytes);
    const report = await scene.verify({ converted: again, source });
    expect(report.ok).toBe(false);
    const wrong = report.tensors.filter(({ state }) => state === 'wrong');
    expect(wrong.map(({ name }) => name).sort()).toEqual(['blocks.0.attn.qkv.weight', 'blocks.0.mlp.up.weight']);
    const problems = wrong.flatMap((tensor) => tensor.problems).join(' ');
    expect(problems).toMatch(/its codes or its scale are not its own/);
    expect(problems).toMatch(/differs from the numbers that the source's codes stand for/);
  });
});

describe('verifying what was not rounded', () => {
  it.each([
    [FORMS[5]!, 'comfyui'],
    [FORMS[0]!, 'comfyui-legacy'],
    [FORMS[14]!, 'comfyui'],
    [FORMS[12]!, 'compressed-tensors'],
  ] as const)('finds the numbers of %o in %s, and what is not one of them', async (form, layout) => {
    await writeModel(scene.source, MODEL);
    const source = await converted('source', form);
    const migrated = await worked({ kind: 'migrate', layout }, source, path('migrated'));
    const good = await scene.verify({ converted: migrated, source });
    expect(good.tensors.flatMap(({ problems }) => problems)).toEqual([]);
    expect(good).toMatchObject({ ok: true, layout, relativeError: 0 });
    const weights = good.tensors.filter(({ name }) => name.endsWith('.weight') && !name.includes('norm'));
    expect(weights.map(({ state }) => state)).toEqual(weights.map(() => 'migrated'));
    expect((await scene.verify({ converted: migrated })).ok).toBe(true);
    await changeByte(migrated, 'blocks.0.mlp.up.weight');
    const bad = await scene.verify({ converted: migrated, source });
    expect(bad.tensors.filter(({ state }) => state === 'wrong').map(({ name }) => name)).toEqual(['blocks.0.mlp.up.weight']);
    expect(bad.ok).toBe(false);
  });

  it.each(['BF16', 'F16', 'F32'] as const)('finds every number in %s, and what is not one of them', async (dtype) => {
    await writeModel(scene.source, MODEL);
    const source = await converted('source', FORMS[4]!);
    const back = await worked({ kind: 'dequantize', dtype }, source, path('back'));
    const good = await scene.verify({ converted: back, source });
    expect(good.tensors.flatMap(({ problems }) => problems)).toEqual([]);
    expect(good.problems).toEqual([]);
    expect(good.tensors.filter(({ state }) => state === 'dequantized')).toHaveLength(3);
    await changeByte(back, 'blocks.0.mlp.up.weight');
    expect((await scene.verify({ converted: back, source })).ok).toBe(false);
  });

  it('finds every number in BF16 whatever the scale', async () => {
    const weights = Array.from({ length: 24 }, (_, index): ModelTensor => {
      const replace = [{ index: 0, value: 0.5 * 2 ** (index / 24) }];
      return { name: `blocks.${index}.mlp.up.weight`, dtype: 'BF16', shape: [64, 64], replace };
    });
    await writeModel(scene.source, weights);
    const source = await converted('source', { layout: 'plain', target: 'float8_e4m3fn', granularity: 'tensor' });
    const back = await worked({ kind: 'dequantize', dtype: 'BF16' }, source, path('back'));
    const { tensors, ok } = await scene.verify({ converted: back, source });
    expect(tensors.flatMap(({ problems }) => problems)).toEqual([]);
    expect(ok).toBe(true);
  });

  async function changeByte(file: string, tensor: string): Promise<void> {
    const model = await openModel(file);
    const bytes = await readFile(file);
    const { end } = model.header.byName.get(tensor)!;
    await model.close();
    // The last byte of a number has its sign and most of its exponent.
    bytes[end - 1] = bytes[end - 1]! ^ 0x5a;
    await writeFile(file, bytes);
  }
});

it('takes codes without a scale for what they are', async () => {
  await writeModel(scene.source, [{ name: 'a.weight', dtype: 'F8_E4M3', shape: [2, 32] }, MODEL[4]!]);
  const back = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, scene.source, path('back')));
  // Code 37 is 2^-3 · (1 + 5/8).
  expect(numbers(back.tensors.get('a.weight')!)[1]).toBe(0.203125);
  const again = await contentsOf(
    await converted('again', { quantized: 'requantize', overrides: [{ match: 'a.weight', action: 'quantize' }] }),
  );
  expect([...again.tensors.keys()]).toContain('a.weight_scale');
});

it('leaves alone, and refuses to guess, what it does not understand', async () => {
  await writeModel(scene.source, [
    { name: 'a.weight', dtype: 'U8', shape: [64, 32] },
    { name: 'a.weight_scale', dtype: 'F8_E4M3', shape: [64, 4] },
    { name: 'a.weight_scale_2', dtype: 'F32', shape: [] },
    { name: 'b.weight', dtype: 'BF16', shape: [64, 64] },
  ]);
  const refused = await scene.run(scene.request({ output: path('back'), work: { kind: 'dequantize', dtype: 'F32' } }));
  expect(refused.at(-1)).toMatchObject({ type: 'failed', error: { tensor: 'a.weight' } });
  const report = await scene.convert(scene.request({}, { quantized: 'requantize', rounding: 'nearest' }));
  expect(report.tensors.find(({ name }) => name === 'a.weight')).toMatchObject({ action: 'keep', targetDtype: 'U8' });
});

it('describes a folder anew: without quantization_config once it is numbers, with another for another layout', async () => {
  const folder = join(scene.folder, 'model');
  await mkdir(folder);
  await writeModel(join(folder, 'model.safetensors'), MODEL);
  await writeFile(join(folder, 'config.json'), '{"model_type":"toy"}');
  const quantized = join(scene.folder, 'quantized');
  await scene.convert(scene.request({ source: folder, output: quantized }, { rounding: 'nearest', layout: 'huggingface' }));
  const configOf = async (from: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
  expect(await configOf(quantized)).toMatchObject({ model_type: 'toy', quantization_config: { quant_method: 'fp8' } });
  const back = await worked({ kind: 'dequantize', dtype: 'BF16' }, quantized, join(scene.folder, 'back'));
  expect(await configOf(back)).toEqual({ model_type: 'toy' });
  const migrated = await worked({ kind: 'migrate', layout: 'compressed-tensors' }, quantized, join(scene.folder, 'migrated'));
  expect(await configOf(migrated)).toMatchObject({ quantization_config: { quant_method: 'compressed-tensors' } });
});
