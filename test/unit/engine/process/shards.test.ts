/** Sharded models and whole folders, converted: the same weights as of a single file, and all files or none. */
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openModel } from '../../../../src/engine/safetensors/modelSource';
import { atFirstTensor, engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';
import { shardName, writeShardedModel } from '../../../support/shardedModel';

const scene = engineScene();

const MANY: readonly ModelTensor[] = Array.from({ length: 10 }, (_, layer) => [
  { name: `layers.${layer}.attn.qkv.weight`, dtype: 'BF16' as const, shape: [96, 64] },
  { name: `layers.${layer}.mlp.up.weight`, dtype: 'F16' as const, shape: [80, 64] },
  { name: `layers.${layer}.mlp.down.weight`, dtype: 'F32' as const, shape: [64, 80] },
  { name: `layers.${layer}.norm.weight`, dtype: 'F32' as const, shape: [64] },
]).flat();

async function sharded(count: number, tensors: readonly ModelTensor[] = MANY): Promise<string> {
  const folder = join(scene.folder, 'sharded');
  await mkdir(folder);
  await writeShardedModel(folder, tensors, count);
  return folder;
}

async function contentsOf(path: string): Promise<ReadonlyMap<string, string>> {
  const model = await openModel(path);
  const contents = new Map<string, string>();
  for (const tensor of model.header.tensors) {
    const bytes = Buffer.from(await model.readTensor(tensor)).toString('base64');
    contents.set(tensor.name, `${tensor.dtype} ${tensor.shape.join()} ${bytes}`);
  }
  await model.close();
  return contents;
}

describe('20 shards', () => {
  it('become what their single-file twin becomes, bit for bit, as shards, as shards of a size, and as one file', async () => {
    const folder = await sharded(20);
    await writeModel(scene.source, MANY, { format: 'pt' });
    await scene.convert();
    const twin = await contentsOf(scene.output);
    expect(twin.size).toBeGreaterThan(MANY.length);

    const asSource = join(scene.folder, 'as-source');
    const report = await scene.convert(scene.request({ source: folder, output: asSource }));
    expect(report.summary.counts).toEqual({ quantize: 30, keep: 10, remove: 0 });
    expect(await contentsOf(asSource)).toEqual(twin);
    expect((await readdir(asSource)).sort()).toEqual([
      ...Array.from({ length: 20 }, (_, shard) => shardName(shard, 20)),
      'model.safetensors.index.json',
    ]);

    const index = join(scene.folder, 'small.safetensors.index.json');
    await scene.convert(scene.request({ source: join(folder, shardName(7, 20)), output: index, maxShardBytes: 60_000 }));
    expect(await contentsOf(index)).toEqual(twin);
    expect((await scene.files()).filter((name) => name.startsWith('small-')).length).toBeGreaterThan(1);

    const single = join(scene.folder, 'single.safetensors');
    await scene.convert(scene.request({ source: folder, output: single }));
    expect(await contentsOf(single)).toEqual(twin);
  });
});

it('are verified as one model, whatever both sides are stored as, and a fault in any shard is found', async () => {
  const folder = await sharded(5);
  const asSource = join(scene.folder, 'as-source');
  const single = join(scene.folder, 'single.safetensors');
  await scene.convert(scene.request({ source: folder, output: asSource }, { rounding: 'nearest' }));
  await scene.convert(scene.request({ source: folder, output: single }, { rounding: 'nearest' }));
  const index = 'model.safetensors.index.json';
  for (const source of [folder, join(folder, index), join(folder, shardName(2, 5))]) {
    for (const converted of [asSource, join(asSource, index), single]) {
      const report = await scene.verify({ converted, source });
      expect([source, converted, report.ok, report.tensors.length]).toEqual([source, converted, true, MANY.length]);
    }
  }
  const model = await openModel(asSource);
  const { begin, end, file = 0 } = model.header.byName.get('layers.9.mlp.up.weight')!;
  await model.close();
  expect(file).toBeGreaterThan(0);
  const shard = model.files[file]!;
  const bytes = await readFile(shard);
  bytes.subarray(begin, end).reverse();
  await writeFile(shard, bytes);
  const report = await scene.verify({ converted: asSource, source: folder });
  expect(report.tensors.filter(({ state }) => state === 'wrong').map(({ name }) => name)).toEqual(['layers.9.mlp.up.weight']);
});

it('writes an index that says where everything is, how much it is, and what the source’s said besides', async () => {
  const folder = await sharded(4);
  const output = join(scene.folder, 'out');
  await scene.convert(scene.request({ source: folder, output }));
  const index = JSON.parse(await readFile(join(output, 'model.safetensors.index.json'), 'utf8')) as {
    readonly metadata: unknown;
    readonly weight_map: Readonly<Record<string, string>>;
  };
  const { header, files } = await openModel(output);
  const bytes = header.tensors.reduce((sum, { begin, end }) => sum + end - begin, 0);
  expect(index.metadata).toEqual({ total_size: bytes, kept: { by: 'us' } });
  for (const { name, file = 0 } of header.tensors) expect(join(output, index.weight_map[name] ?? ''), name).toBe(files[file]);
  // A weight and its scale are in one shard, and each shard describes its own layers.
  expect(index.weight_map['layers.3.mlp.up.weight_scale']).toBe(index.weight_map['layers.3.mlp.up.weight']);
});

it('carries along what is small and no weights, and says what stays behind', async () => {
  const folder = await sharded(2);
  await writeFile(join(folder, 'config.json'), '{"model_type":"toy"}');
  await mkdir(join(folder, 'tokenizer'));
  await writeFile(join(folder, 'tokenizer', 'vocab.txt'), 'a b c');
  await writeFile(join(folder, 'pytorch_model.bin'), 'old');
  await writeFile(join(folder, '.gitattributes'), '');
  const output = join(scene.folder, 'out');
  const { notes } = await scene.convert(scene.request({ source: folder, output }));
  expect((await readdir(output)).sort()).toEqual([
    'config.json',
    shardName(0, 2),
    shardName(1, 2),
    'model.safetensors.index.json',
    'tokenizer',
  ]);
  expect(await readFile(join(output, 'tokenizer', 'vocab.txt'), 'utf8')).toBe('a b c');
  expect(notes.join('\n')).toMatch(/Carried along: config\.json, tokenizer.vocab\.txt\./);
  expect(notes.join('\n')).toMatch(/Left behind, because they are other weights: pytorch_model\.bin\./);
});

it('adds quantization_config to the configuration of the source, of which every other byte stays', async () => {
  const folder = await sharded(2);
  const own = '{\n    "rope_theta": 10000.0,\n    "rms_norm_eps": 1e-05,\n    "id": 123456789012345678901';
  await writeFile(join(folder, 'config.json'), `${own}\n}\n`);
  const output = join(scene.folder, 'out');
  await scene.convert(scene.request({ source: folder, output }, { layout: 'compressed-tensors', rounding: 'nearest' }));
  const text = await readFile(join(output, 'config.json'), 'utf8');
  expect(text.startsWith(`${own},\n    "quantization_config": {\n        "quant_method": "compressed-tensors",\n`)).toBe(true);
  const back = join(scene.folder, 'back');
  await scene.convert(scene.request({ source: output, output: back, work: { kind: 'dequantize', dtype: 'BF16' } }));
  expect(await readFile(join(back, 'config.json'), 'utf8')).toBe(`${own}\n}\n`);
});

it('keeps a tensor that turns out to have NaN, in its shard, and every other shard as it was', async () => {
  const spoilt = MANY.map((tensor) =>
    tensor.name === 'layers.5.mlp.up.weight' ? { ...tensor, replace: [{ index: 3, value: NaN }] } : tensor,
  );
  const folder = await sharded(4, spoilt);
  const output = join(scene.folder, 'out');
  await scene.convert(scene.request({ source: folder, output }));
  await writeModel(scene.source, spoilt, { format: 'pt' });
  await scene.convert();
  expect(await contentsOf(output)).toEqual(await contentsOf(scene.output));
  expect((await contentsOf(output)).get('layers.5.mlp.up.weight')).toMatch(/^F16 /);
});

it('keeps what vLLM joins with such a tensor, and has them in one shard wherever the source has them', async () => {
  const layer = (name: string): ModelTensor => ({ name: `l.mlp.${name}.weight`, dtype: 'BF16', shape: [128, 128] });
  const spoilt = { ...layer('up_proj'), replace: [{ index: 3, value: NaN }] };
  const model = [layer('gate_proj'), spoilt, layer('down_proj'), layer('other')];
  const folder = await sharded(2, model);
  const recipe = { layout: 'compressed-tensors', rounding: 'nearest' } as const;
  const output = join(scene.folder, 'out');
  await scene.convert(scene.request({ source: folder, output }, recipe));
  await writeModel(scene.source, model, { format: 'pt' });
  await scene.convert(scene.request({}, recipe));
  const contents = await contentsOf(output);
  expect(contents).toEqual(await contentsOf(scene.output));
  expect(contents.get('l.mlp.gate_proj.weight')).toMatch(/^BF16 /);
  const small = join(scene.folder, 'small');
  await scene.convert(scene.request({ output: small, maxShardBytes: 30_000 }, recipe));
  expect(await contentsOf(small)).toEqual(contents);
});

it('leaves nothing behind where it is cancelled in its middle, and begins nothing where there is no place', async () => {
  // Its end is far away when its first tensor begins, on any machine.
  const slow = Array.from({ length: 4 }, (_, i): ModelTensor => ({ name: `slow.${i}.weight`, dtype: 'BF16', shape: [3072, 3072] }));
  const folder = await sharded(2, slow);
  const before = await scene.files();
  const stop = new AbortController();
  const slowly = { source: folder, output: join(scene.folder, 'out'), threads: 1 };
  const cancelled = await scene.run(
    scene.request(slowly),
    atFirstTensor(() => stop.abort()),
    stop.signal,
  );
  expect(cancelled.at(-1)?.type).toBe('cancelled');
  expect(await scene.files()).toEqual(before);
  const homeless = await scene.run(scene.request({ ...slowly, output: join(scene.folder, 'nowhere', 'out') }));
  expect(homeless.at(-1)).toMatchObject({ type: 'failed', error: { code: 'FileNotFound' } });
  expect(await scene.files()).toEqual(before);
});

it('takes no folder’s place that has something in it, and none of its own source', async () => {
  const folder = await sharded(2);
  const output = join(scene.folder, 'out');
  await mkdir(output);
  await writeFile(join(output, 'mine.txt'), 'mine');
  const replace = { overwrite: 'replace' } as const;
  expect((await scene.run(scene.request({ source: folder, output, ...replace }))).at(-1)).toMatchObject({
    error: { code: 'OutputExists' },
  });
  expect(await readdir(output)).toEqual(['mine.txt']);
  expect((await scene.run(scene.request({ source: folder, output: folder, ...replace }))).at(-1)).toMatchObject({
    error: { code: 'OutputIsInput' },
  });
  const index = join(folder, 'model.safetensors.index.json');
  const original = await readFile(index, 'utf8');
  expect((await scene.run(scene.request({ source: folder, output: index, ...replace }))).at(-1)).toMatchObject({
    error: { code: 'OutputIsInput' },
  });
  expect(await readFile(index, 'utf8')).toBe(original);
});

it('replaces shards only where that is allowed, and then all of them', async () => {
  const folder = await sharded(2);
  const output = join(scene.folder, 'out.safetensors.index.json');
  const request = scene.request({ source: folder, output });
  await scene.convert(request);
  expect((await scene.run(request)).at(-1)).toMatchObject({ error: { code: 'OutputExists' } });
  const first = await contentsOf(output);
  await scene.convert({ ...request, overwrite: 'replace', recipe: { ...request.recipe, convolutions: 'quantize', rounding: 'nearest' } });
  expect(await contentsOf(output)).not.toEqual(first);
  expect(await scene.files()).toEqual([
    'out-00001-of-00002.safetensors',
    'out-00002-of-00002.safetensors',
    'out.safetensors.index.json',
    'sharded',
  ]);
  await expect(access(join(scene.folder, 'out'))).rejects.toThrow();
});
