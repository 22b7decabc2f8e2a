/**
 * Loaders that are not ours read what a conversion wrote: re-implementations of their rules, in Python, dequantize every layer, and the values
 * are those that the addon reads. Where there is no Python with numpy, this is skipped.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadBinding } from '../../src/engine/native/loadBinding';
import { NativeQuantizer } from '../../src/engine/native/nativeQuantizer';
import type { DifferenceTask, QuantizerEvent, StoredCodes, TensorValues } from '../../src/engine/job/quantizer';
import { makePlan } from '../../src/engine/plan/makePlan';
import type { OutputTensor, Plan } from '../../src/engine/plan/plan';
import { quantizationConfig } from '../../src/engine/plan/quantizationConfig';
import { defaultRecipe, type Recipe } from '../../src/engine/plan/recipe';
import { readHeader } from '../../src/engine/safetensors/reader';
import { engineScene } from '../support/engineScene';
import { writeModel, type ModelTensor } from '../support/modelFile';

const ROOT = join(import.meta.dirname, '../..');
const PYTHON = pythonWithNumpy();
const scene = engineScene();

/** Odd sizes, so that every format has something to pad, and enough rows for a second tile of scales. */
const MODEL: readonly ModelTensor[] = [
  { name: 'blocks.0.attn.qkv.weight', dtype: 'BF16', shape: [384, 96] },
  { name: 'blocks.0.attn.qkv.bias', dtype: 'BF16', shape: [384] },
  { name: 'blocks.0.mlp.fc1.weight', dtype: 'F16', shape: [192, 224] },
  { name: 'blocks.0.mlp.fc2.weight', dtype: 'F32', shape: [128, 160] },
  { name: 'blocks.0.mlp.odd.weight', dtype: 'BF16', shape: [141, 70] },
  { name: 'blocks.0.norm.weight', dtype: 'F32', shape: [96] },
];

/** As transformers names them, and as a module of their own. */
const STACKS: readonly ModelTensor[] = [
  { name: 'blocks.0.mlp.experts.gate_up_proj', dtype: 'BF16', shape: [3, 64, 40] },
  { name: 'blocks.0.mlp.experts.down_proj', dtype: 'BF16', shape: [3, 40, 32] },
  { name: 'blocks.1.experts.up.weight', dtype: 'F16', shape: [2, 48, 32] },
];

const CASES: readonly Partial<Recipe>[] = [
  { layout: 'comfyui', target: 'float8_e4m3fn' },
  { layout: 'comfyui', target: 'float8_e5m2' },
  { layout: 'comfyui', target: 'int8', granularity: 'tensor' },
  { layout: 'comfyui', target: 'int8', granularity: 'row' },
  { layout: 'comfyui', target: 'mxfp8' },
  { layout: 'comfyui', target: 'nvfp4' },
  {
    layout: 'comfyui',
    overrides: [
      { match: '*.fc1.*', action: 'quantize', target: 'int8' },
      { match: '*.fc2.*', action: 'quantize', target: 'nvfp4', rounding: 'nearest' },
    ],
  },
  { layout: 'comfyui-legacy' },
  { layout: 'comfyui-legacy', presets: ['t5xxl'] },
  { layout: 'compressed-tensors', granularity: 'tensor' },
  { layout: 'compressed-tensors', granularity: 'row' },
  { layout: 'compressed-tensors', granularity: 'block', blockSize: [64, 32] },
  { layout: 'compressed-tensors', granularity: 'block', blockSize: [1, 32] },
  { layout: 'compressed-tensors', target: 'int8', granularity: 'tensor' },
  { layout: 'compressed-tensors', target: 'int8', granularity: 'row' },
  { layout: 'compressed-tensors', target: 'mxfp8' },
  { layout: 'compressed-tensors', target: 'nvfp4' },
  { layout: 'compressed-tensors', overrides: [{ match: '*.fc1.*', action: 'quantize', target: 'int8' }] },
  { layout: 'huggingface', granularity: 'block', blockSize: [32, 32] },
  { layout: 'huggingface', granularity: 'block', blockSize: [64, 224] },
  { layout: 'huggingface', granularity: 'block', blockSize: [192, 112] },
  ...(['float8_e4m3fn', 'float8_e5m2', 'int8'] as const).flatMap((target): readonly Partial<Recipe>[] => [
    { layout: 'plain', target, granularity: 'tensor' },
    { layout: 'plain', target, granularity: 'row' },
    { layout: 'plain', target, granularity: 'block', blockSize: [48, 40] },
  ]),
  { layout: 'plain', target: 'mxfp8' },
  { layout: 'plain', target: 'nvfp4' },
];

describe.skipIf(PYTHON === undefined)(`a loader of the layout${PYTHON === undefined ? ' (skipped: no python3 with numpy)' : ''}`, () => {
  it.each(CASES.map((recipe) => ({ name: nameOf(recipe), recipe })))(
    'reads the values that we read: $name',
    async ({ recipe: overrides }) => {
      await writeModel(scene.source, overrides.layout === 'plain' ? [...MODEL, ...STACKS] : MODEL);
      const recipe = defaultRecipe({ minElements: 1, ...overrides });
      await scene.convert(scene.request({ recipe }));
      const plan = makePlan(await readHeader(scene.source), recipe, { toolVersion: '0.0.0' });
      const loaded = load(recipe, plan);
      const quantized = plan.tensors.filter(({ action }) => action === 'quantize').map(({ source }) => source.name);
      const values = await readHeader(loaded);
      expect(values.tensors.map(({ name }) => name).sort()).toEqual([...quantized].sort());
      expect(quantized.length).toBeGreaterThanOrEqual(3);

      const written = await readHeader(scene.output);
      const placed = new Map(plan.output.tensors.map((tensor) => [tensor.name, tensor]));
      for (const { name, begin, end } of written.tensors) {
        // The plan above has another version in its metadata, which shifts everything by the same number of bytes.
        expect(end - begin).toBe((placed.get(name)?.end ?? 0) - (placed.get(name)?.begin ?? 0));
      }
      const tasks = quantized.map((name, id): DifferenceTask => {
        const own = values.byName.get(name);
        const reference: TensorValues = {
          range: { file: 0, offset: own?.begin ?? 0, length: (own?.end ?? 0) - (own?.begin ?? 0) },
          dtype: 'F32',
          scale: 1,
        };
        return {
          kind: 'difference',
          id,
          name,
          reference,
          other: storedValues(plan, name, (tensor) => written.byName.get(tensor)?.begin ?? 0),
        };
      });
      for (const event of await runTasks([loaded, scene.output], tasks)) {
        if (event.type !== 'compared') continue;
        expect({ name: tasks[event.id]?.name, squaredError: event.squaredError, equal: event.equal }).toEqual({
          name: tasks[event.id]?.name,
          squaredError: 0,
          equal: true,
        });
        expect(event.squaredSource).toBeGreaterThan(0);
      }
    },
  );

  it.each(['compressed-tensors', 'huggingface', 'plain'] as const)('reads shards as it reads one file: %s', async (layout) => {
    await writeModel(scene.source, layout === 'plain' ? [...MODEL, ...STACKS] : MODEL);
    const granularity = layout === 'huggingface' ? 'block' : 'auto';
    const recipe = defaultRecipe({ layout, minElements: 1, granularity, blockSize: [32, 32], rounding: 'nearest' });
    await scene.convert(scene.request({ recipe }));
    const plan = makePlan(await readHeader(scene.source), recipe, { toolVersion: '0.0.0' });
    const single = readFileSync(load(recipe, plan));
    const folder = join(scene.folder, 'shards');
    await scene.convert(scene.request({ recipe, output: folder, maxShardBytes: 50_000 }));
    expect(readdirSync(folder).filter((name) => name.endsWith('.safetensors')).length).toBeGreaterThan(2);
    expect(readFileSync(load(recipe, plan, join(folder, 'model.safetensors.index.json')))).toEqual(single);
  });

  it('refuses what its rules refuse: a scale for each row under a format with one', async () => {
    await writeModel(scene.source, MODEL);
    const recipe = defaultRecipe({ layout: 'plain', granularity: 'row', rounding: 'nearest' });
    await scene.convert(scene.request({ recipe }));
    expect(() => load({ ...recipe, layout: 'comfyui' }, undefined)).toThrow(/FP8 that nothing describes/);
  });
});

/** What the loader computes with, as a file of F32 tensors. */
function load({ layout, blockSize }: Recipe, plan: Plan | undefined, converted = scene.output): string {
  const out = join(scene.folder, 'loaded.safetensors');
  const config = plan === undefined ? undefined : quantizationConfig(plan);
  const configPath = join(scene.folder, 'config.json');
  if (config !== undefined) writeFileSync(configPath, JSON.stringify({ quantization_config: config }));
  const extra = config === undefined ? blockSize.join('x') : configPath;
  const words = [join(ROOT, 'test/loaders/load.py'), layout, converted, scene.source, out, extra];
  const run = spawnSync(PYTHON ?? 'python3', words, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return out;
}

function storedValues(plan: Plan, name: string, beginOf: (tensor: string) => number): TensorValues {
  const tensor = plan.tensors.find(({ source }) => source.name === name);
  if (tensor?.quantization === undefined) throw new Error(`${name} is not quantized`);
  const { quantization } = tensor;
  const { storage, weight, scales, tensorScales } = quantization.stored;
  const range = (stored: { readonly name: string } | undefined): TensorValues['range'] => {
    const output = plan.output.tensors.find((candidate): candidate is OutputTensor => candidate.name === stored?.name);
    if (output === undefined) throw new Error(`${name} has no ${stored?.name ?? 'scale'}`);
    return { file: 1, offset: beginOf(output.name), length: output.end - output.begin };
  };
  const [tensorScale] = tensorScales;
  const overall = tensorScale === undefined ? undefined : readFileSync(scene.output).readFloatLE(range(tensorScale).offset);
  const codes: StoredCodes = {
    ...storage,
    rows: quantization.rows,
    columns: quantization.columns,
    scales: range(scales[0]),
    ...(overall === undefined ? {} : { tensorScale: storage.tensorScaleForm === 'divisor' ? 1 / overall : overall }),
  };
  return { range: range(weight), dtype: 'U8', scale: 1, codes };
}

async function runTasks(files: readonly string[], tasks: readonly DifferenceTask[]): Promise<readonly QuantizerEvent[]> {
  const quantizer = new NativeQuantizer(loadBinding(join(ROOT, 'dist')));
  const events: QuantizerEvent[] = [];
  for await (const event of quantizer.run({ files, tasks, device: 'cpu', threads: 1 }, new AbortController().signal)) events.push(event);
  expect(events.filter(({ type }) => type === 'compared').length).toBe(tasks.length);
  return events;
}

function nameOf({ layout, target, granularity, blockSize, presets, overrides }: Partial<Recipe>): string {
  return [layout, target ?? 'float8_e4m3fn', granularity ?? 'auto', blockSize?.join('x'), presets?.[0], overrides && 'mixed']
    .filter((part) => part !== undefined)
    .join(', ');
}

function pythonWithNumpy(): string | undefined {
  return ['python3', '/usr/bin/python3'].find((path) => spawnSync(path, ['-c', 'import numpy'], { stdio: 'ignore' }).status === 0);
}
