// Conversions by the engine in its own process, with the real addon: what they write and what they tell.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { engineScene } from '../../../support/engineScene';
import { TOY_MODEL, writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();

describe('a conversion', () => {
  it('makes a file that verifies, and a complete report', async () => {
    const header = await writeModel(scene.source, TOY_MODEL, { format: 'pt' });
    const events = await scene.run(scene.request({ reportPath: join(scene.folder, 'report.json') }));
    expect(events[0]).toMatchObject({
      type: 'planned',
      source: scene.source,
      output: scene.output,
      device: 'cpu',
      counts: { quantize: 6, keep: 7, remove: 0 },
    });
    const end = events.at(-1);
    const report = end?.type === 'done' ? end.report : undefined;
    expect(JSON.parse(await readFile(join(scene.folder, 'report.json'), 'utf8'))).toEqual(report);
    expect(report?.model).toMatchObject({ family: 'unknown', evidence: [expect.stringMatching(/^None of the/), expect.anything()] });
    expect(await scene.files()).toEqual(['converted.safetensors', 'model.safetensors', 'report.json']);

    expect(events.flatMap((event) => (event.type === 'tensorFinished' ? event.tensor.name : [])).sort()).toEqual(
      header.tensors.map(({ name }) => name).sort(),
    );
    expect(report?.tensors.map(({ name }) => name)).toEqual(header.tensors.map(({ name }) => name));
    for (const tensor of report?.tensors ?? []) {
      expect(tensor).toMatchObject({ shape: header.byName.get(tensor.name)?.shape, sourceDtype: header.byName.get(tensor.name)?.dtype });
      expect(tensor.reason).not.toBe('');
      if (tensor.action !== 'quantize') continue;
      expect(tensor).toMatchObject({ targetDtype: 'F8_E4M3', device: 'cpu' });
      expect(tensor.scale).toBeGreaterThan(0);
      expect(tensor.relativeError).toBeGreaterThan(0.005);
      expect(tensor.relativeError).toBeLessThan(0.06);
      expect(tensor.objective).toBeGreaterThan(0);
      expect(tensor.objective).toBeLessThanOrEqual(tensor.objectiveNearest ?? 0);
      expect(tensor.sweeps).toBeGreaterThan(0);
      expect(tensor.seconds).toBeGreaterThan(0);
    }
    const { summary } = report!;
    expect(summary).toMatchObject({ bytesIn: header.fileSize, bytesOut: (await stat(scene.output)).size, device: 'cpu' });
    expect(summary.relativeError).toBeGreaterThan(0.01);
    expect(summary.objectiveRatio).toBeLessThan(0.95);
    expect(summary.threads).toBeGreaterThan(0);
    expect(summary.peakMemoryBytes).toBeGreaterThan(1e7);
    expect(summary.peakMemoryBytes).toBeLessThan(1e9);
    expect(summary.seconds.total).toBeGreaterThan(summary.seconds.convert);

    const verified = await scene.verify();
    expect(verified).toMatchObject({ ok: true, layout: 'comfyui', problems: [], warnings: [] });
    expect(verified.relativeError).toBeCloseTo(summary.relativeError, 6);
  });

  it('writes the same bytes whatever the number of threads', async () => {
    await writeModel(scene.source, TOY_MODEL);
    const results: Buffer[] = [];
    for (const [index, threads] of [1, 2, 3, 0].entries()) {
      const path = join(scene.folder, `${index}.safetensors`);
      await scene.convert(scene.request({ output: path, threads }));
      results.push(await readFile(path));
    }
    for (const bytes of results) expect(bytes.equals(results[0]!)).toBe(true);
  });

  it.each(['nearest', 'tpec'] as const)('rounds by %s as well', async (rounding) => {
    await writeModel(scene.source, TOY_MODEL);
    const report = await scene.convert(scene.request({}, { rounding, numIter: 50 }));
    expect(report.recipe.rounding).toBe(rounding);
    const [tensor] = report.tensors.filter(({ action }) => action === 'quantize');
    if (rounding === 'nearest') expect(tensor).not.toHaveProperty('objective');
    else expect(tensor?.objectiveLearned).toBeLessThan(tensor?.objectiveNearest ?? 0);
    expect((await scene.verify()).ok).toBe(true);
  });

  it('writes the layout comfyui-legacy, with tensors removed, so that it verifies', async () => {
    await writeModel(scene.source, [...TOY_MODEL, { name: 'decoder.weight', dtype: 'BF16', shape: [64, 64] }]);
    await scene.convert(scene.request({}, { layout: 'comfyui-legacy', presets: ['t5xxl'] }));
    const verified = await scene.verify();
    expect(verified).toMatchObject({ ok: true, layout: 'comfyui-legacy', problems: [] });
    expect(verified.tensors.filter(({ state }) => state === 'removed').map(({ name }) => name)).toEqual(['decoder.weight']);
  });

  it('keeps a tensor with NaN or infinity as it is, and everything else as without it', async () => {
    const poisoned = ['layers.0.mlp.fc1.weight', 'layers.1.mlp.fc2.weight'];
    const replace = [
      { index: 17, value: NaN },
      { index: 4711, value: -Infinity },
    ];
    await writeModel(scene.source, TOY_MODEL);
    const clean = join(scene.folder, 'clean.safetensors');
    await scene.convert(scene.request({ output: clean }));
    const header = await writeModel(
      scene.source,
      TOY_MODEL.map((tensor) => (poisoned.includes(tensor.name) ? { ...tensor, replace } : tensor)),
    );
    const events = await scene.run(scene.request());
    const end = events.at(-1);
    const report = end?.type === 'done' ? end.report : undefined;
    expect(await scene.files()).toEqual(['clean.safetensors', 'converted.safetensors', 'model.safetensors']);
    expect(report?.warnings).toHaveLength(2);
    expect(events.filter(({ type }) => type === 'warning')).toHaveLength(2);
    for (const name of poisoned) {
      expect(report?.tensors.find((tensor) => tensor.name === name)).toMatchObject({
        action: 'keep',
        reason: 'NaN or infinity: 2 values that FP8 cannot hold.',
        targetDtype: header.byName.get(name)?.dtype,
      });
    }
    expect(report?.summary.counts).toEqual({ quantize: 4, keep: 9, remove: 0 });
    expect(events.filter((event) => event.type === 'tensorFinished')).toHaveLength(TOY_MODEL.length);
    expect(await scene.verify()).toMatchObject({ ok: true });

    const after = await readHeader(scene.output);
    const before = await readHeader(clean);
    const [afterBytes, beforeBytes, sourceBytes] = await Promise.all([readFile(scene.output), readFile(clean), readFile(scene.source)]);
    for (const { name, begin, end: last } of after.tensors) {
      const isPoisoned = poisoned.includes(name);
      const [expected, bytes] = isPoisoned ? [header.byName.get(name), sourceBytes] : [before.byName.get(name), beforeBytes];
      expect(afterBytes.subarray(begin, last).equals(bytes.subarray(expected?.begin, expected?.end))).toBe(true);
    }
  });

  it('keeps what vLLM joins with a tensor that has NaN, also where it is computed already', async () => {
    const layer = (name: string): ModelTensor => ({ name: `l.mlp.${name}.weight`, dtype: 'BF16', shape: [128, 128] });
    const poisoned = { ...layer('up_proj'), replace: [{ index: 5, value: NaN }] };
    await writeModel(scene.source, [layer('gate_proj'), poisoned, layer('down_proj')]);
    const events = await scene.run(scene.request({}, { layout: 'compressed-tensors' }));
    const end = events.at(-1);
    const report = end?.type === 'done' ? end.report : undefined;
    const finished = events.flatMap((event) => (event.type === 'tensorFinished' ? `${event.tensor.action} ${event.tensor.name}` : []));
    expect(finished.sort()).toEqual(['keep l.mlp.gate_proj.weight', 'keep l.mlp.up_proj.weight', 'quantize l.mlp.down_proj.weight']);
    expect(report?.summary.counts).toEqual({ quantize: 1, keep: 2, remove: 0 });
    expect(report?.tensors.map(({ action, targetDtype }) => [action, targetDtype])).toEqual([
      ['keep', 'BF16'],
      ['keep', 'BF16'],
      ['quantize', 'F8_E4M3'],
    ]);
    expect(report?.summary.relativeError).toBeCloseTo(report?.tensors[2]?.relativeError ?? NaN, 12);
    expect((await readHeader(scene.output)).byName.get('l.mlp.gate_proj.weight')?.dtype).toBe('BF16');
    expect(await scene.verify()).toMatchObject({ problems: [] });
  });

  it('tells progress that only grows', async () => {
    const events = await scene.run(scene.request({ source: scene.slowModel }, { rounding: 'nearest' }));
    const fractions = events.flatMap((event) => (event.type === 'progress' ? event.fraction : []));
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
  });
});

it('devices lists the CPU with what it can do', async () => {
  const devices = await scene.client.devices();
  const cpu = devices.find(({ id }) => id === 'cpu');
  expect(cpu).toMatchObject({ kind: 'cpu', available: true });
  expect(cpu?.threads).toBeGreaterThan(0);
  for (const { available, reason } of devices) expect(available || (reason ?? '') !== '').toBe(true);
});
