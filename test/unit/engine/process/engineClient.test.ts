// The engine in its own process with the real addon: what a job leaves behind, however it ends.
import { appendFile, cp, readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ConvertRequest } from '../../../../src/engine/job/convertRequest';
import type { JobEvent } from '../../../../src/engine/job/jobEvent';
import type { JobReport } from '../../../../src/engine/job/report';
import type { VerifyReport } from '../../../../src/engine/job/verify/verifyEvent';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { EngineClient } from '../../../../src/engine/process/engineClient';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { TOY_MODEL, writeModel, type ModelTensor } from '../../../support/modelFile';
import { bundleProgram, eventually, type Program } from '../../../support/program';
import { temporaryFolder, type TemporaryFolder } from '../../../support/temporaryFolder';

/** Takes seconds to quantize, so that there is a middle of the job. */
const SLOW_MODEL: readonly ModelTensor[] = Array.from({ length: 12 }, (_, i) => ({
  name: `slow.${i}.weight`,
  dtype: 'BF16',
  shape: [1024, 1024],
}));

let shared: TemporaryFolder;
let program: Program;
let slowModel: string;
/** A folder for each test, and in it the source. */
let folder: TemporaryFolder;
let source: string;
let output: string;
let log: string[];
let client: EngineClient;

beforeAll(async () => {
  shared = await temporaryFolder();
  program = await bundleProgram(shared.path);
  slowModel = join(shared.path, 'slow.safetensors');
  await writeModel(slowModel, SLOW_MODEL);
});

afterAll(async () => {
  await shared[Symbol.asyncDispose]();
});

beforeEach(async () => {
  folder = await temporaryFolder();
  source = join(folder.path, 'model.safetensors');
  output = join(folder.path, 'converted.safetensors');
  log = [];
  client = new EngineClient({ modulePath: program.engineModule, log: (line) => log.push(line) });
  return async () => {
    await client.dispose();
    await folder[Symbol.asyncDispose]();
  };
});

function request(overrides: Partial<ConvertRequest> = {}, recipe: Partial<Recipe> = {}): ConvertRequest {
  return { source, output, recipe: defaultRecipe(recipe), device: 'cpu', threads: 0, overwrite: 'refuse', ...overrides };
}

async function run(
  job: ConvertRequest,
  onEvent: (event: JobEvent) => void | Promise<void> = () => undefined,
  signal = new AbortController().signal,
): Promise<readonly JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of client.convert(job, signal)) {
    events.push(event);
    await onEvent(event);
  }
  const terminal = events.filter(({ type }) => type === 'done' || type === 'failed' || type === 'cancelled');
  expect(terminal).toEqual([events.at(-1)]);
  return events;
}

async function convert(job: ConvertRequest = request()): Promise<JobReport> {
  const end = (await run(job)).at(-1);
  if (end?.type !== 'done') throw new Error(JSON.stringify(end));
  return end.report;
}

async function verify(converted = output, against = source): Promise<VerifyReport> {
  for await (const event of client.verify({ converted, source: against, threads: 0 }, new AbortController().signal)) {
    if (event.type === 'done') return event.report;
    if (event.type === 'failed') throw new Error(event.error.message);
  }
  throw new Error('the verification did not end');
}

async function files(): Promise<readonly string[]> {
  return (await readdir(folder.path)).sort();
}

/** Once per job, as soon as tensors are worked on. */
function atFirstTensor(act: () => void | Promise<void>): (event: JobEvent) => Promise<void> {
  let acted = false;
  return async (event) => {
    if (acted || event.type !== 'tensorStarted') return;
    acted = true;
    await act();
  };
}

function enginePid(): number {
  const pid = /engine (\d+): started/.exec(log.join('\n'))?.[1];
  if (pid === undefined) throw new Error(log.join('\n'));
  return Number(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a conversion', () => {
  it('makes a file that verifies, and a complete report', async () => {
    const header = await writeModel(source, TOY_MODEL, { format: 'pt' });
    const events = await run(request({ reportPath: join(folder.path, 'report.json') }));
    expect(events[0]).toMatchObject({ type: 'planned', source, output, device: 'cpu', counts: { quantize: 6, keep: 7, remove: 0 } });
    const end = events.at(-1);
    const report = end?.type === 'done' ? end.report : undefined;
    expect(JSON.parse(await readFile(join(folder.path, 'report.json'), 'utf8'))).toEqual(report);
    expect(await files()).toEqual(['converted.safetensors', 'model.safetensors', 'report.json']);

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
    expect(summary).toMatchObject({ bytesIn: header.fileSize, bytesOut: (await stat(output)).size, device: 'cpu' });
    expect(summary.relativeError).toBeGreaterThan(0.01);
    expect(summary.objectiveRatio).toBeLessThan(0.95);
    expect(summary.threads).toBeGreaterThan(0);
    expect(summary.peakMemoryBytes).toBeGreaterThan(1e7);
    expect(summary.peakMemoryBytes).toBeLessThan(1e9);
    expect(summary.seconds.total).toBeGreaterThan(summary.seconds.convert);

    const verified = await verify();
    expect(verified).toMatchObject({ ok: true, layout: 'comfyui', problems: [], warnings: [] });
    expect(verified.relativeError).toBeCloseTo(summary.relativeError, 6);
  });

  it('writes the same bytes whatever the number of threads', async () => {
    await writeModel(source, TOY_MODEL);
    const results: Buffer[] = [];
    for (const [index, threads] of [1, 2, 3, 0].entries()) {
      const path = join(folder.path, `${index}.safetensors`);
      await convert(request({ output: path, threads }));
      results.push(await readFile(path));
    }
    for (const bytes of results) expect(bytes.equals(results[0]!)).toBe(true);
  });

  it.each(['nearest', 'tpec'] as const)('rounds by %s as well', async (rounding) => {
    await writeModel(source, TOY_MODEL);
    const report = await convert(request({}, { rounding, numIter: 50 }));
    expect(report.recipe.rounding).toBe(rounding);
    const [tensor] = report.tensors.filter(({ action }) => action === 'quantize');
    if (rounding === 'nearest') expect(tensor).not.toHaveProperty('objective');
    else expect(tensor?.objectiveLearned).toBeLessThan(tensor?.objectiveNearest ?? 0);
    expect((await verify()).ok).toBe(true);
  });

  it('writes the layout comfyui-legacy, with tensors removed, so that it verifies', async () => {
    await writeModel(source, [...TOY_MODEL, { name: 'decoder.weight', dtype: 'BF16', shape: [64, 64] }]);
    await convert(request({}, { layout: 'comfyui-legacy', presets: ['t5xxl'] }));
    const verified = await verify();
    expect(verified).toMatchObject({ ok: true, layout: 'comfyui-legacy', problems: [] });
    expect(verified.tensors.filter(({ state }) => state === 'removed').map(({ name }) => name)).toEqual(['decoder.weight']);
  });

  it('keeps a tensor with NaN or infinity as it is, and everything else as without it', async () => {
    const poisoned = ['layers.0.mlp.fc1.weight', 'layers.1.mlp.fc2.weight'];
    const replace = [
      { index: 17, value: NaN },
      { index: 4711, value: -Infinity },
    ];
    await writeModel(source, TOY_MODEL);
    const clean = join(folder.path, 'clean.safetensors');
    await convert(request({ output: clean }));
    const header = await writeModel(
      source,
      TOY_MODEL.map((tensor) => (poisoned.includes(tensor.name) ? { ...tensor, replace } : tensor)),
    );
    const events = await run(request());
    const end = events.at(-1);
    const report = end?.type === 'done' ? end.report : undefined;
    expect(await files()).toEqual(['clean.safetensors', 'converted.safetensors', 'model.safetensors']);
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
    expect(await verify()).toMatchObject({ ok: true });

    const after = await readHeader(output);
    const before = await readHeader(clean);
    const [afterBytes, beforeBytes, sourceBytes] = await Promise.all([readFile(output), readFile(clean), readFile(source)]);
    for (const { name, begin, end: last } of after.tensors) {
      const isPoisoned = poisoned.includes(name);
      const [expected, bytes] = isPoisoned ? [header.byName.get(name), sourceBytes] : [before.byName.get(name), beforeBytes];
      expect(afterBytes.subarray(begin, last).equals(bytes.subarray(expected?.begin, expected?.end))).toBe(true);
    }
  });

  it('tells progress that only grows', async () => {
    const events = await run(request({ source: slowModel }, { rounding: 'nearest' }));
    const fractions = events.flatMap((event) => (event.type === 'progress' ? event.fraction : []));
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
  });
});

describe('a job that is not done', () => {
  it('is cancelled within a second and leaves nothing', async () => {
    const cancellation = new AbortController();
    let cancelledAt = 0;
    const events = await run(
      request({ source: slowModel }),
      atFirstTensor(() => {
        cancelledAt = performance.now();
        cancellation.abort();
      }),
      cancellation.signal,
    );
    expect(events.at(-1)).toEqual({ type: 'cancelled' });
    expect(performance.now() - cancelledAt).toBeLessThan(1000);
    expect(await files()).toEqual([]);
    await eventually('the engine ends', () => !isAlive(enginePid()));
  });

  it('leaves nothing when its events are no longer wanted', async () => {
    for await (const event of client.convert(request({ source: slowModel }), new AbortController().signal)) {
      if (event.type === 'tensorStarted') break;
    }
    expect(await files()).toEqual([]);
  });

  it('does not begin once it is cancelled', async () => {
    expect(await run(request({ source: slowModel }), undefined, AbortSignal.abort())).toEqual([{ type: 'cancelled' }]);
    expect(log).toEqual([]);
  });

  it.each([
    ['SIGKILL', /was killed \(SIGKILL\).*memory/],
    ['SIGSEGV', /crashed \(SIGSEGV\).*cpu/],
    ['SIGTERM', /ended from outside \(SIGTERM\)/],
  ] as const)('is told as a crash when the engine gets %s, and leaves nothing', async (signal, message) => {
    const before = await readFile(slowModel);
    const events = await run(
      request({ source: slowModel }),
      atFirstTensor(async () => {
        expect(await files()).toHaveLength(1);
        process.kill(enginePid(), signal);
      }),
    );
    expect(events.at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'EngineCrashed', message: expect.stringMatching(message) as string },
    });
    expect(await files()).toEqual([]);
    expect((await readFile(slowModel)).equals(before)).toBe(true);
  });

  it('is killed when it does not answer a cancel', async () => {
    const cancellation = new AbortController();
    const started = performance.now();
    const events = await run(
      request({ source: slowModel }),
      atFirstTensor(() => {
        process.kill(enginePid(), 'SIGSTOP');
        cancellation.abort();
      }),
      cancellation.signal,
    );
    expect(events.at(-1)).toEqual({ type: 'cancelled' });
    expect(performance.now() - started).toBeLessThan(8000);
    expect(await files()).toEqual([]);
    expect(isAlive(enginePid())).toBe(false);
  });

  it('leaves nothing when the client is disposed', async () => {
    const events = run(
      request({ source: slowModel }),
      atFirstTensor(() => void client.dispose()),
    );
    expect((await events).at(-1)).toEqual({ type: 'cancelled' });
    expect(await files()).toEqual([]);
  });

  it.each([
    ['shrinks', async () => truncate(source, 20_000_000)],
    ['grows', async () => appendFile(source, 'more')],
    ['is written to', async () => utimes(source, new Date(), new Date())],
  ] as const)('fails when the source %s meanwhile', async (_how, change) => {
    await cp(slowModel, source);
    const events = await run(request({}, { rounding: 'learned', topK: 16 }), atFirstTensor(change));
    expect(events.at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'FileChanged', message: expect.stringContaining(source) as string },
    });
    expect(await files()).toEqual(['model.safetensors']);
  });

  it('fails when every tensor has NaN', async () => {
    await writeModel(source, [{ name: 'a.weight', dtype: 'F32', shape: [64, 64], replace: [{ index: 0, value: NaN }] }]);
    expect((await run(request())).at(-1)).toMatchObject({ type: 'failed', error: { code: 'NothingToQuantize' } });
    expect(await files()).toEqual(['model.safetensors']);
  });

  it('fails when there is nothing to quantize', async () => {
    await writeModel(source, [{ name: 'norm.weight', dtype: 'F32', shape: [64] }]);
    expect((await run(request())).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'NothingToQuantize', message: expect.stringMatching(/model\.safetensors: Nothing to quantize/) as string },
    });
  });

  it('never overwrites what it was not told to', async () => {
    await writeModel(source, TOY_MODEL);
    await writeFile(output, 'precious');
    expect((await run(request())).at(-1)).toMatchObject({ type: 'failed', error: { code: 'OutputExists' } });
    expect((await run(request({ output: source, overwrite: 'replace' }))).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'OutputIsInput' },
    });
    expect(await readFile(output, 'utf8')).toBe('precious');
    const other = join(folder.path, 'other.safetensors');
    for (const reportPath of [source, other]) {
      const end = (await run(request({ output: other, reportPath, overwrite: 'replace' }))).at(-1);
      expect(end).toMatchObject({ type: 'failed', error: { code: 'OutputIsInput', message: expect.stringContaining('report') as string } });
    }
    expect((await run(request({ output: other, reportPath: output }))).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'OutputExists' },
    });
    expect(await files()).toEqual(['converted.safetensors', 'model.safetensors']);
    await convert(request({ overwrite: 'replace' }));
    expect((await verify()).ok).toBe(true);
  });

  it('fails with the reason where a device or the engine is missing', async () => {
    await writeModel(source, TOY_MODEL);
    expect((await run(request({ device: 'cuda:99' }))).at(-1)).toMatchObject({ type: 'failed', error: { code: 'DeviceUnavailable' } });
    const nowhere = new EngineClient({ modulePath: join(folder.path, 'engine.js') });
    for await (const event of nowhere.convert(request(), new AbortController().signal)) {
      expect(event).toMatchObject({
        type: 'failed',
        error: { code: 'NativeUnavailable', message: expect.stringContaining('npm run build') as string },
      });
    }
    await expect(nowhere.devices()).rejects.toMatchObject({ code: 'NativeUnavailable' });
  });

  it('fails with the last words of an engine that cannot start', async () => {
    const broken = join(folder.path, 'broken.js');
    await writeFile(broken, 'throw new Error("no such luck")');
    const started: JobEvent[] = [];
    for await (const event of new EngineClient({ modulePath: broken }).convert(request(), new AbortController().signal))
      started.push(event);
    expect(started).toEqual([
      {
        type: 'failed',
        error: { code: 'EngineCrashed', message: expect.stringMatching(/code 1\. Its last words: Error: no such luck/) as string },
      },
    ]);
  });
});

it('two conversions run beside each other, and one that dies takes nothing along', async () => {
  await writeModel(source, TOY_MODEL);
  const dying = run(
    request({ source: slowModel, output: join(folder.path, 'dying.safetensors') }),
    atFirstTensor(() => {
      process.kill(enginePid(), 'SIGKILL');
    }),
  );
  await eventually('the first one runs', () => log.length > 0);
  const [ended, report] = await Promise.all([dying, convert()]);
  expect(ended.at(-1)).toMatchObject({ type: 'failed', error: { code: 'EngineCrashed' } });
  expect(report.summary.counts.quantize).toBe(6);
  expect(await files()).toEqual(['converted.safetensors', 'model.safetensors']);
});

it('devices lists the CPU with what it can do', async () => {
  const devices = await client.devices();
  const cpu = devices.find(({ id }) => id === 'cpu');
  expect(cpu).toMatchObject({ kind: 'cpu', available: true });
  expect(cpu?.threads).toBeGreaterThan(0);
  for (const { available, reason } of devices) expect(available || (reason ?? '') !== '').toBe(true);
});
