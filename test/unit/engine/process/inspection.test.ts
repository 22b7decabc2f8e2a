// Looking into files by the engine in its own process, with the real addon.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ComparedTensor } from '../../../../src/engine/inspect/compareEvent';
import type { TensorStatistics } from '../../../../src/engine/inspect/inspectEvent';
import { engineScene } from '../../../support/engineScene';
import { previewOf } from '../../../support/previewOf';
import { writeShardedModel } from '../../../support/shardedModel';
import { modelBytes, TOY_MODEL, writeModel } from '../../../support/modelFile';

const scene = engineScene();
const fc1 = 'layers.0.mlp.fc1.weight';

describe('inspect', () => {
  it('describes the values of a tensor', async () => {
    await writeModel(scene.source, [
      {
        name: 'w',
        dtype: 'F32',
        shape: [4, 2],
        replace: [1, -3, 0, 0.5, 2, NaN, Infinity, 1].map((value, index) => ({ index, value })),
      },
    ]);
    expect(await statisticsOf(scene.source, 'w')).toMatchObject({
      count: 8,
      zeroCount: 1,
      nanCount: 1,
      infinityCount: 1,
      smallest: -3,
      largest: 2,
      mean: 0.25,
    });
  });

  it('sees codes times their scale', async () => {
    await writeModel(scene.source, TOY_MODEL);
    await scene.convert();
    const source = await statisticsOf(scene.source, fc1);
    const converted = await statisticsOf(scene.output, fc1);
    expect(converted.scale).toEqual({ value: source.fp8Scale, tensor: 'layers.0.mlp.fc1.weight_scale' });
    expect(Math.abs(converted.deviation / source.deviation - 1)).toBeLessThan(0.02);
  });

  it('sees codes of a row times the scale of the row', async () => {
    await writeModel(scene.source, TOY_MODEL);
    await scene.convert(scene.request({}, { target: 'int8', layout: 'plain', granularity: 'row' }));
    const source = await statisticsOf(scene.source, fc1);
    const converted = await statisticsOf(scene.output, fc1);
    expect(converted.scales).toEqual({ tensor: 'layers.0.mlp.fc1.weight_scale', shape: [200, 1] });
    expect(Math.abs(converted.deviation / source.deviation - 1)).toBeLessThan(0.02);
  });

  it('finds a tensor in the shard that has it', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const alone = await statisticsOf(scene.source, fc1);
    const { index, shards } = await writeShardedModel(scene.folder, TOY_MODEL, 3);
    expect(await statisticsOf(index, fc1)).toEqual({ ...alone, id: 0 });
    expect(await statisticsOf(shards[0] ?? '', fc1)).toEqual({ ...alone, id: 0 });
  });

  it('says why the values of a tensor cannot be read', async () => {
    await writeModel(scene.source, [{ name: 'four', dtype: 'F4', shape: [2, 8] }]);
    await expect(statisticsOf(scene.source, 'four')).rejects.toThrow(/"four".*F4/);
    await expect(statisticsOf(scene.source, 'gone')).rejects.toThrow(/no longer has a tensor "gone"/);
  });

  it('ends when it is cancelled', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const events: string[] = [];
    for await (const { type } of scene.client.inspect({ path: scene.source, tensor: fc1, threads: 0 }, AbortSignal.abort()))
      events.push(type);
    expect(events).toEqual(['cancelled']);
  });
});

describe('preview', () => {
  it('tells what a conversion then does, and writes nothing', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const preview = await previewOf(scene, fc1);
    expect(await scene.files()).toEqual(['model.safetensors']);
    const report = (await scene.convert()).tensors.find(({ name }) => name === fc1);
    expect(preview.error).toBe(report?.relativeError);
    expect(preview.sweeps).toBe(report?.sweeps);
    expect(preview.objectiveRatio).toBeCloseTo((report?.objective ?? 0) / (report?.objectiveNearest ?? 1), 12);
    expect(preview.nearestError).toBeLessThanOrEqual(preview.error);
    expect(preview.objectiveRatio).toBeLessThan(1);
  });

  it('rounds codes of the source anew where the recipe asks for that, as a conversion then does', async () => {
    const original = join(scene.folder, 'original.safetensors');
    await writeModel(original, TOY_MODEL);
    await scene.convert(scene.request({ source: original, output: scene.source }, { rounding: 'nearest' }));
    await expect(previewOf(scene, fc1)).rejects.toThrow(/not quantized by this recipe/);
    const again = { quantized: 'requantize', target: 'int8' } as const;
    const preview = await previewOf(scene, fc1, again);
    const report = (await scene.convert(scene.request({}, again))).tensors.find(({ name }) => name === fc1);
    expect(preview.error).toBe(report?.relativeError);
    expect(preview.error).toBeGreaterThan(0);
  });

  it('says why there is nothing to preview', async () => {
    await writeModel(scene.source, TOY_MODEL);
    await expect(previewOf(scene, 'layers.0.norm.weight')).rejects.toThrow(/not quantized by this recipe/);
  });
});

describe('compare', () => {
  it('finds a file equal to itself', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const { tensors, relativeError } = await compared(scene.source, scene.source);
    expect(relativeError).toBe(0);
    expect(new Set(tensors.map(({ state }) => state))).toEqual(new Set(['equal']));
    expect(tensors).toHaveLength(TOY_MODEL.length);
  });

  it('compares a converted file by the values that it stands for', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const report = await scene.convert();
    const { tensors, relativeError } = await compared(scene.source, scene.output);
    expect(tensors.map(({ name }) => name)).toEqual(report.tensors.map(({ name }) => name));
    for (const { name, action, relativeError: error = 0 } of report.tensors) {
      const tensor = tensors.find((other) => other.name === name);
      expect([name, tensor?.state]).toEqual([name, action === 'quantize' ? 'changed' : 'equal']);
      if (action === 'quantize') {
        expect(tensor?.error?.relative).toBeCloseTo(error, 6);
        expect(tensor?.error?.sqnrDecibels).toBeCloseTo(-20 * Math.log10(error), 3);
      }
    }
    expect(relativeError).toBeGreaterThan(0.01);
    expect(relativeError).toBeCloseTo(report.summary.relativeError, 9);
  });

  it.each([
    { target: 'float8_e4m3fn', layout: 'compressed-tensors', granularity: 'row' },
    { target: 'float8_e4m3fn', layout: 'huggingface', granularity: 'block', blockSize: [8, 8] },
    { target: 'int8', layout: 'plain', granularity: 'row' },
    { target: 'mxfp8', layout: 'comfyui', granularity: 'auto' },
    { target: 'nvfp4', layout: 'comfyui', granularity: 'auto' },
    { target: 'nvfp4', layout: 'compressed-tensors', granularity: 'auto' },
  ] as const)('counts all scales of $target in $layout', async (recipe) => {
    await writeModel(scene.source, TOY_MODEL);
    const report = await scene.convert(scene.request({}, { ...recipe, rounding: 'nearest' }));
    const { tensors } = await compared(scene.source, scene.output);
    expect(tensors.map(({ name }) => name).sort()).toEqual(report.tensors.map(({ name }) => name).sort());
    for (const { name, action, relativeError: error = 0 } of report.tensors) {
      if (action !== 'quantize') continue;
      const tensor = tensors.find((other) => other.name === name);
      expect([name, tensor?.state]).toEqual([name, 'changed']);
      expect(tensor?.error?.relative).toBeCloseTo(error, 6);
    }
  });

  it('compares shards as the one model that they are', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const { index, shards } = await writeShardedModel(scene.folder, TOY_MODEL, 3);
    const same = await compared(scene.source, index);
    expect(new Set(same.tensors.map(({ state }) => state))).toEqual(new Set(['equal']));
    expect(same.tensors).toHaveLength(TOY_MODEL.length);
    const output = join(scene.folder, 'converted');
    const report = await scene.convert(scene.request({ source: index, output }));
    const { tensors } = await compared(shards[1] ?? '', output);
    const error = (name: string): number | undefined => tensors.find((tensor) => tensor.name === name)?.error?.relative;
    expect(tensors).toHaveLength(TOY_MODEL.length);
    expect(error(fc1)).toBeCloseTo(report.tensors.find(({ name }) => name === fc1)?.relativeError ?? 0, 6);
  });

  it('says why codes cannot be compared', async () => {
    const other = join(scene.folder, 'other.safetensors');
    const codes = { name: 'row.weight', dtype: 'F8_E4M3', shape: [8, 16] } as const;
    await writeModel(scene.source, [{ name: 'row.weight', dtype: 'BF16', shape: [8, 16] }]);
    await writeModel(other, [codes, { name: 'row.weight_scale', dtype: 'F32', shape: [3, 5] }]);
    const { tensors } = await compared(scene.source, other);
    expect(tensors).toMatchObject([{ name: 'row.weight', state: 'incomparable', reason: expect.stringMatching(/3 × 5/) as string }]);
  });

  it('tells what was added, removed and reshaped, and what cannot be compared', async () => {
    const other = join(scene.folder, 'other.safetensors');
    await writeFile(
      scene.source,
      modelBytes([
        { name: 'same', dtype: 'F32', shape: [4] },
        { name: 'wider', dtype: 'F32', shape: [4] },
        { name: 'gone', dtype: 'F32', shape: [4] },
        { name: 'four', dtype: 'F4', shape: [4] },
      ]),
    );
    await writeFile(
      other,
      modelBytes([
        { name: 'same', dtype: 'F32', shape: [4] },
        { name: 'wider', dtype: 'F32', shape: [2, 2] },
        { name: 'four', dtype: 'F4', shape: [4] },
        { name: 'new', dtype: 'I64', shape: [] },
      ]),
    );
    const { tensors } = await compared(scene.source, other);
    expect(Object.fromEntries(tensors.map(({ name, state }) => [name, state]))).toEqual({
      same: 'equal',
      wider: 'reshaped',
      gone: 'removed',
      four: 'incomparable',
      new: 'added',
    });
  });

  it('names the file that is broken', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const broken = join(scene.folder, 'broken.safetensors');
    await writeFile(broken, (await readFile(scene.source)).subarray(0, 5000));
    await expect(compared(scene.source, broken)).rejects.toThrow(/broken\.safetensors/);
  });
});

async function statisticsOf(path: string, tensor: string): Promise<TensorStatistics> {
  for await (const event of scene.client.inspect({ path, tensor, threads: 0 }, new AbortController().signal)) {
    if (event.type === 'done') return event.statistics;
    if (event.type === 'failed') throw new Error(event.error.message);
  }
  throw new Error('the inspection did not end');
}

async function compared(
  reference: string,
  other: string,
): Promise<{ readonly tensors: readonly ComparedTensor[]; readonly relativeError: number }> {
  const tensors: ComparedTensor[] = [];
  for await (const event of scene.client.compare({ reference, other, threads: 0 }, new AbortController().signal)) {
    if (event.type === 'paired') tensors.push(...event.tensors);
    else if (event.type === 'tensor') tensors[event.index] = event.tensor;
    else if (event.type === 'done') return { tensors, relativeError: event.relativeError };
    else if (event.type === 'failed') throw new Error(event.error.message);
  }
  throw new Error('the comparison did not end');
}
