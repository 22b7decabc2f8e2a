/** What becomes of weights whose codes are stored padded: the padding is nowhere to be found once they are anything else. */
import { describe, expect, it } from 'vitest';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';
import { contentsOf, storedConversions } from '../../../support/storedConversions';

const scene = engineScene();

const { path, converted, worked } = storedConversions(scene);

const WEIGHT = 'model.diffusion_model.blocks.0.mlp.fc1.weight';
const BIAS = 'model.diffusion_model.blocks.0.mlp.fc1.bias';
const TALL: ModelTensor = { name: WEIGHT, dtype: 'BF16', shape: [200, 128] };
const NARROW: ModelTensor = { name: WEIGHT, dtype: 'BF16', shape: [200, 100] };
const BIAS_OF_200: ModelTensor = { name: BIAS, dtype: 'BF16', shape: [200] };

async function shapeOf(file: string): Promise<readonly number[] | undefined> {
  return (await contentsOf(file)).tensors.get(WEIGHT)?.shape;
}

/** Without what this tool notes of its making. */
async function asIfForeign(file: string, tensors: readonly string[] = []): Promise<string> {
  const { tensors: all, metadata } = await contentsOf(file);
  const kept = [...all].filter(([name]) => !tensors.includes(name));
  const foreign = `${file}.foreign`;
  await writeModel(
    foreign,
    kept.map(([name, { dtype, shape, bytes }]) => ({ name, dtype: dtype as ModelTensor['dtype'], shape, bytes })),
    Object.fromEntries([...metadata].filter(([key]) => !key.startsWith('fp8_quantizer.'))),
  );
  return foreign;
}

describe.each(['mxfp8', 'nvfp4'] as const)('a padded weight in %s', (target) => {
  it.each([
    ['rows, beside a bias', [TALL, BIAS_OF_200]],
    ['rows, without a bias', [TALL]],
    ['rows and columns', [NARROW]],
  ])('has its own shape in every way it is read: %s', async (_what, tensors) => {
    await writeModel(scene.source, tensors);
    const [{ shape }] = tensors as [ModelTensor];
    const source = await converted('padded', { layout: 'comfyui', target });
    expect(await shapeOf(source)).not.toEqual(shape);
    const against = { source, converted: scene.output };
    const back = await worked({ kind: 'dequantize', dtype: 'BF16' }, source, scene.output);
    expect(await shapeOf(back)).toEqual(shape);
    expect((await scene.verify(against)).ok).toBe(true);
    expect((await scene.verify({ source: scene.source, converted: source })).ok).toBe(true);

    const anew = await converted('anew', { layout: 'plain', quantized: 'requantize' }, source);
    expect(await shapeOf(anew)).toEqual(shape);
    const twice = await converted('twice', { layout: 'plain' }, back);
    const [found, wanted] = [await contentsOf(anew), await contentsOf(twice)].map((file) => file.tensors.get(WEIGHT));
    expect(found).toEqual(wanted);
    expect((await scene.verify({ source, converted: anew })).ok).toBe(true);
  });

  it('loses its rows of padding where it is migrated', async () => {
    await writeModel(scene.source, [TALL, BIAS_OF_200]);
    const source = await converted('padded', { layout: 'comfyui', target });
    const migrated = await worked({ kind: 'migrate', layout: 'plain' }, source, path('plain'));
    const direct = await converted('direct', { layout: 'plain', target });
    const [found, wanted] = [await contentsOf(migrated), await contentsOf(direct)];
    expect(found.tensors).toEqual(wanted.tensors);
    expect((await scene.verify({ source, converted: migrated })).ok).toBe(true);
    expect((await scene.verify({ source: scene.source, converted: migrated })).ok).toBe(true);
  });

  it('is cut to its bias in files of other tools, and what has none is told of', async () => {
    await writeModel(scene.source, [TALL, BIAS_OF_200]);
    const source = await converted('padded', { layout: 'comfyui', target });
    const withBias = await asIfForeign(source);
    expect(await shapeOf(await worked({ kind: 'dequantize', dtype: 'BF16' }, withBias, path('cut')))).toEqual([200, 128]);
    const without = await asIfForeign(source, [BIAS]);
    const rows = target === 'mxfp8' ? 224 : 208;
    for (const work of [
      { kind: 'dequantize', dtype: 'BF16' },
      { kind: 'migrate', layout: 'plain' },
    ] as const) {
      const report = await scene.convert(scene.request({ source: without, output: path(work.kind), work }));
      expect(report.warnings).toEqual([expect.stringContaining(`"${WEIGHT}" may be padded`)]);
      expect((await shapeOf(path(work.kind)))?.[0]).toBe(rows);
    }
  });
});

it('verify finds a dequantized file whose weight has rows of padding', async () => {
  await writeModel(scene.source, [TALL, BIAS_OF_200]);
  const source = await converted('padded', { layout: 'comfyui', target: 'mxfp8' });
  await writeModel(scene.output, [{ ...TALL, shape: [224, 128] }, BIAS_OF_200]);
  for (const file of [source, scene.source]) {
    const report = await scene.verify({ source: file, converted: scene.output });
    expect(report.tensors.find(({ name }) => name === WEIGHT)?.problems).toEqual(['Its shape is 224 × 128 instead of 200 × 128.']);
  }
});

it('columns of padding are in every row, so migrating refuses them', async () => {
  await writeModel(scene.source, [NARROW]);
  const source = await converted('padded', { layout: 'comfyui', target: 'mxfp8' });
  const events = await scene.run(scene.request({ source, output: path('plain'), work: { kind: 'migrate', layout: 'plain' } }));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    error: { tensor: WEIGHT, message: expect.stringContaining('padded from 100 columns to 128') as string },
  });
});

it('a shape that does not come to that of the codes is not believed', async () => {
  await writeModel(scene.source, [TALL]);
  const source = await converted('padded', { layout: 'comfyui', target: 'mxfp8' });
  const { tensors, metadata } = await contentsOf(source);
  const declared = metadata.get('fp8_quantizer.encodings');
  expect(declared).toBe(`{"mxfp8 block:1x32 shape:200x128":["${WEIGHT.replace('.weight', '')}"]}`);
  await writeModel(
    path('lying'),
    [...tensors].map(([name, { dtype, shape, bytes }]) => ({ name, dtype: dtype as ModelTensor['dtype'], shape, bytes })),
    { ...Object.fromEntries(metadata), 'fp8_quantizer.encodings': declared!.replace('200x128', '190x128') },
  );
  expect(await shapeOf(await worked({ kind: 'dequantize', dtype: 'BF16' }, path('lying'), path('back')))).toEqual([224, 128]);
});
