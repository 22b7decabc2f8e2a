/** What a file says of how it is stored, and what is read where it says nothing. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { engineScene } from '../../../support/engineScene';
import { contentsOf, numbers, storedConversions } from '../../../support/storedConversions';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();

const { path, converted, worked } = storedConversions(scene);

describe('blocks whose size the shapes leave open', () => {
  /** The scales of both halves differ so much that a row in the wrong one is unmistakable. */
  const HALVES: readonly ModelTensor[] = [
    { name: 'x.weight', dtype: 'F8_E4M3', shape: [192, 256] },
    { name: 'x.weight_scale_inv', dtype: 'F32', shape: [2, 2], replace: [1, 1, 64, 64].map((value, index) => ({ index, value })) },
  ];

  async function rowScales(file: string): Promise<readonly number[]> {
    const back = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, file, `${file}.numbers`));
    const codes = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, path('codes'), `${file}.ones`));
    const [found, ones] = [back, codes].map(({ tensors }) => numbers(tensors.get('x.weight')!));
    return [0, 95, 96, 127, 128, 191].map((row) => {
      const at = ones!.findIndex((value, i) => i >= row * 256 && value !== 0 && Number.isFinite(value));
      return found![at]! / ones![at]!;
    });
  }

  it('stay 128 and 64 through a migration to plain, and in a plain file of another tool', async () => {
    await writeModel(path('codes'), HALVES.slice(0, 1));
    await writeModel(scene.source, HALVES);
    const migrated = await worked({ kind: 'migrate', layout: 'plain' }, scene.source, path('migrated'));
    expect(await rowScales(migrated)).toEqual([1, 1, 1, 1, 64, 64]);
    await writeModel(path('foreign'), [HALVES[0]!, { ...HALVES[1]!, name: 'x.weight_scale' }]);
    expect(await rowScales(path('foreign'))).toEqual([1, 1, 1, 1, 64, 64]);
  });

  it('are told by the file where it was made with others, for each layer', async () => {
    await writeModel(path('codes'), HALVES.slice(0, 1));
    const declared = { 'fp8_quantizer.encodings': '{"float8_e4m3fn block:96x128":["x"]}' };
    await writeModel(scene.source, [HALVES[0]!, { ...HALVES[1]!, name: 'x.weight_scale' }], declared);
    expect(await rowScales(scene.source)).toEqual([1, 1, 64, 64, 64, 64]);
  });

  it('are told of each layer whose override has other blocks than the recipe', async () => {
    await writeModel(scene.source, [
      { name: 'a.weight', dtype: 'F32', shape: [192, 128] },
      { name: 'b.weight', dtype: 'F32', shape: [192, 128] },
    ]);
    const overrides = [{ match: 'a.weight', action: 'quantize', granularity: 'block', blockSize: [96, 128] }] as const;
    const file = await converted('blocks', { layout: 'plain', granularity: 'block', overrides });
    expect((await contentsOf(file)).metadata.get('fp8_quantizer.encodings')).toBe('{"float8_e4m3fn block:96x128":["a"]}');
    expect((await scene.verify({ converted: file, source: scene.source })).ok).toBe(true);
  });

  it('are refused where several sizes fit and nothing tells', async () => {
    await writeModel(scene.source, [
      { name: 'x.weight', dtype: 'F8_E4M3', shape: [96, 256] },
      { name: 'x.weight_scale', dtype: 'F32', shape: [2, 2] },
    ]);
    const refused = await scene.run(scene.request({ output: path('back'), work: { kind: 'dequantize', dtype: 'F32' } }));
    expect(refused.at(-1)).toMatchObject({ type: 'failed', error: { tensor: 'x.weight' } });
  });
});

it('reads two codes in a byte after a migration to plain, which says which of them comes first', async () => {
  await writeModel(scene.source, [{ name: 'blocks.0.mlp.up.weight', dtype: 'F32', shape: [256, 128] }]);
  const source = await converted('source', { layout: 'comfyui', target: 'nvfp4' });
  const migrated = await worked({ kind: 'migrate', layout: 'plain' }, source, path('migrated'));
  const [before, after] = await Promise.all(
    [source, migrated].map(async (file, i) => contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, file, path(`back-${i}`)))),
  );
  expect(after!.tensors).toEqual(before!.tensors);
});

describe('a scale of one row and one column', () => {
  const scaled = (layer: string, shape: readonly [number, number], scales: readonly number[], suffix: string): readonly ModelTensor[] => [
    { name: `${layer}.weight`, dtype: 'F8_E4M3', shape },
    {
      name: `${layer}.${suffix}`,
      dtype: 'F32',
      shape: scales,
      replace: [0, 1, 2, 3].slice(0, scales[0]! * scales[1]!).map((index) => ({ index, value: 0.5 + index })),
    },
  ];

  it.each(['huggingface', 'compressed-tensors', 'comfyui'] as const)('is what %s needs', async (layout) => {
    const suffix = layout === 'huggingface' ? 'weight_scale' : 'weight_scale_inv';
    const large = layout === 'comfyui' ? [] : scaled('a', [256, 256], [2, 2], suffix);
    const folder = join(scene.folder, 'model');
    await mkdir(folder);
    await writeModel(join(folder, 'model.safetensors'), [
      ...large,
      ...scaled('b', [128, 128], [1, 1], suffix),
      ...scaled('c', [64, 128], [1, 1], suffix),
    ]);
    const output = await worked({ kind: 'migrate', layout }, folder, join(scene.folder, 'migrated'));
    const report = await scene.verify({ converted: output, source: folder });
    expect([report.problems, report.tensors.flatMap(({ problems }) => problems)]).toEqual([[], []]);
    expect(report.tensors.map(({ state }) => state)).toEqual(Array<string>(large.length / 2 + 2).fill('migrated'));
    if (layout === 'comfyui') return;
    const config = await readFile(join(output, 'config.json'), 'utf8');
    expect(JSON.parse(config)).toMatchObject({
      quantization_config:
        layout === 'huggingface'
          ? { weight_block_size: [128, 128], modules_to_not_convert: ['lm_head'] }
          : { ignore: ['lm_head'], config_groups: { group_0: { weights: { block_structure: [128, 128] } } } },
    });
  });
});

it.each(['recipe', 'migrated'] as const)(
  'goes by what the file itself says (%s), and warns, where config.json beside it says otherwise',
  async (word) => {
    await writeModel(scene.source, [{ name: 'x.weight', dtype: 'F32', shape: [192, 128] }]);
    const folder = join(scene.folder, 'model');
    await mkdir(folder);
    const made = await converted('made', { layout: 'plain', granularity: 'block', blockSize: [96, 128] });
    const expected = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, made, path('expected')));
    const file = join(folder, 'model.safetensors');
    if (word === 'recipe') await writeFile(file, await readFile(made));
    else {
      const positive = [0.5, 0.25].map((value, index) => ({ index, value }));
      const scales: ModelTensor = { name: 'x.weight_scale', dtype: 'F32', shape: [2, 1], replace: positive };
      await writeModel(file, [{ name: 'x.weight', dtype: 'F8_E4M3', shape: [192, 128] }, scales], {
        'fp8_quantizer.migrated': 'plain (1.0)',
        'fp8_quantizer.encodings': '{"float8_e4m3fn block:96x128":["x"]}',
      });
    }
    const other = { quant_method: 'compressed-tensors', weight_block_size: [128, 128] };
    await writeFile(join(folder, 'config.json'), JSON.stringify({ quantization_config: other }));
    const report = await scene.convert(scene.request({ source: file, output: path('back'), work: { kind: 'dequantize', dtype: 'F32' } }));
    expect(report.warnings.join()).toMatch(/says quant_method "compressed-tensors", and the file itself that it is in the layout plain/);
    expect((await scene.verify({ converted: file })).warnings.join()).toMatch(
      /says quant_method "compressed-tensors", and the file itself/,
    );
    if (word === 'recipe') expect((await contentsOf(path('back'))).tensors).toEqual(expected.tensors);
    const end = (await scene.run(scene.request({ source: file, output: path('on'), work: { kind: 'migrate', layout: 'plain' } }))).at(-1);
    expect(end?.type === 'failed' ? end.error.message : '').toMatch(/is in the layout plain already/);
  },
);

it('reads scales of rows in parts as musubi-tuner stores them', async () => {
  const codes: ModelTensor = { name: 'x.weight', dtype: 'F8_E4M3', shape: [2, 256] };
  const replace = [1, 2, 4, 8, 16, 32, 64, 128].map((value, index) => ({ index, value }));
  await writeModel(path('codes'), [codes]);
  await writeModel(scene.source, [codes, { name: 'x.scale_weight', dtype: 'F32', shape: [2, 4, 1], replace }]);
  const [found, ones] = await Promise.all(
    [scene.source, path('codes')].map(async (file) => {
      const back = await contentsOf(await worked({ kind: 'dequantize', dtype: 'F32' }, file, `${file}.numbers`));
      return numbers(back.tensors.get('x.weight')!);
    }),
  );
  expect(found).toEqual(ones!.map((value, i) => value * 2 ** Math.floor(i / 64)));
});

it('leaves no scale behind that stands beside a weight that is not quantized, and refuses one that says something', async () => {
  const legacy = (scale: number): readonly ModelTensor[] => [
    { name: 'a.weight', dtype: 'F8_E4M3', shape: [32, 64] },
    { name: 'a.scale_weight', dtype: 'F32', shape: [], replace: [{ index: 0, value: 0.5 }] },
    { name: 'b.weight', dtype: 'BF16', shape: [32, 64] },
    { name: 'b.scale_weight', dtype: 'F32', shape: [], replace: [{ index: 0, value: scale }] },
    { name: 'scaled_fp8', dtype: 'F8_E4M3', shape: [2] },
  ];
  const migrate = scene.request({ work: { kind: 'migrate', layout: 'comfyui' } });
  await writeModel(scene.source, legacy(1));
  await scene.convert(migrate);
  expect([...(await contentsOf(scene.output)).tensors.keys()].sort()).toEqual(['a.comfy_quant', 'a.weight', 'a.weight_scale', 'b.weight']);
  expect(await scene.verify()).toMatchObject({ ok: true, problems: [] });
  await writeModel(scene.source, legacy(0.25));
  expect((await scene.run({ ...migrate, overwrite: 'replace' })).at(-1)).toMatchObject({
    type: 'failed',
    error: { message: expect.stringMatching(/"b\.weight" .*its scale b\.scale_weight is 0\.25/) as string },
  });
});
