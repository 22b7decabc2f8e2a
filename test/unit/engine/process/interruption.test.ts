// Jobs that do not come to their end, by the engine in its own process: what they tell, and that nothing of them is left.
import { appendFile, cp, readFile, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConvertRequest } from '../../../../src/engine/job/convertRequest';
import type { JobEvent } from '../../../../src/engine/job/jobEvent';
import { EngineClient } from '../../../../src/engine/process/engineClient';
import { atFirstTensor, engineScene, isAlive } from '../../../support/engineScene';
import { TOY_MODEL, writeModel } from '../../../support/modelFile';
import { eventually } from '../../../support/program';

const scene = engineScene();

/** Its end is far away when its first tensor begins, on any machine. */
function slowJob(overrides: Partial<ConvertRequest> = {}): ConvertRequest {
  return scene.request({ source: scene.slowModel, threads: 1, ...overrides });
}

describe('a job that is not done', () => {
  it('is cancelled and leaves nothing', async () => {
    const cancellation = new AbortController();
    const events = await scene.run(
      slowJob(),
      atFirstTensor(() => {
        cancellation.abort();
      }),
      cancellation.signal,
    );
    expect(events.at(-1)).toEqual({ type: 'cancelled' });
    expect(await scene.files()).toEqual([]);
    await eventually('the engine ends', () => !isAlive(scene.enginePid()));
  });

  it('leaves nothing when its events are no longer wanted', async () => {
    for await (const event of scene.client.convert(slowJob(), new AbortController().signal)) {
      if (event.type === 'tensorStarted') break;
    }
    expect(await scene.files()).toEqual([]);
  });

  it('does not begin once it is cancelled', async () => {
    expect(await scene.run(slowJob(), undefined, AbortSignal.abort())).toEqual([{ type: 'cancelled' }]);
    expect(scene.log).toEqual([]);
  });

  it.each([
    ['SIGKILL', /was killed \(SIGKILL\).*memory/],
    ['SIGSEGV', /crashed \(SIGSEGV\).*cpu/],
    ['SIGTERM', /ended from outside \(SIGTERM\)/],
  ] as const)('is told as a crash when the engine gets %s, and leaves nothing', async (signal, message) => {
    const before = await readFile(scene.slowModel);
    const events = await scene.run(
      slowJob(),
      atFirstTensor(async () => {
        expect(await scene.files()).toHaveLength(1);
        process.kill(scene.enginePid(), signal);
      }),
    );
    expect(events.at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'EngineCrashed', message: expect.stringMatching(message) as string, path: scene.slowModel },
    });
    expect(await scene.files()).toEqual([]);
    expect((await readFile(scene.slowModel)).equals(before)).toBe(true);
  });

  it('is killed when it does not answer a cancel', async () => {
    const cancellation = new AbortController();
    const events = await scene.run(
      slowJob(),
      atFirstTensor(() => {
        process.kill(scene.enginePid(), 'SIGSTOP');
        cancellation.abort();
      }),
      cancellation.signal,
    );
    expect(events.at(-1)).toEqual({ type: 'cancelled' });
    expect(await scene.files()).toEqual([]);
    expect(isAlive(scene.enginePid())).toBe(false);
  });

  it('leaves nothing when the scene.client is disposed', async () => {
    const events = scene.run(
      slowJob(),
      atFirstTensor(() => void scene.client.dispose()),
    );
    expect((await events).at(-1)).toEqual({ type: 'cancelled' });
    expect(await scene.files()).toEqual([]);
  });

  it.each([
    ['shrinks', async () => truncate(scene.source, 20_000_000)],
    ['grows', async () => appendFile(scene.source, 'more')],
    ['is written to', async () => utimes(scene.source, new Date(), new Date())],
  ] as const)('fails when the source %s meanwhile', async (_how, change) => {
    await cp(scene.slowModel, scene.source);
    const events = await scene.run(slowJob({ source: scene.source }), atFirstTensor(change));
    expect(events.at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'FileChanged', message: expect.stringContaining(scene.source) as string },
    });
    expect(await scene.files()).toEqual(['model.safetensors']);
  });

  it('fails when every tensor has NaN', async () => {
    await writeModel(scene.source, [{ name: 'a.weight', dtype: 'F32', shape: [64, 64], replace: [{ index: 0, value: NaN }] }]);
    expect((await scene.run(scene.request())).at(-1)).toMatchObject({ type: 'failed', error: { code: 'NothingToQuantize' } });
    expect(await scene.files()).toEqual(['model.safetensors']);
  });

  it('fails when there is nothing to quantize', async () => {
    await writeModel(scene.source, [{ name: 'norm.weight', dtype: 'F32', shape: [64] }]);
    expect((await scene.run(scene.request())).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'NothingToQuantize', message: expect.stringMatching(/model\.safetensors: Nothing to quantize/) as string },
    });
  });

  it('never overwrites what it was not told to', async () => {
    await writeModel(scene.source, TOY_MODEL);
    await writeFile(scene.output, 'precious');
    expect((await scene.run(scene.request())).at(-1)).toMatchObject({ type: 'failed', error: { code: 'OutputExists' } });
    expect((await scene.run(scene.request({ output: scene.source, overwrite: 'replace' }))).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'OutputIsInput' },
    });
    expect(await readFile(scene.output, 'utf8')).toBe('precious');
    const other = join(scene.folder, 'other.safetensors');
    for (const reportPath of [scene.source, other]) {
      const end = (await scene.run(scene.request({ output: other, reportPath, overwrite: 'replace' }))).at(-1);
      expect(end).toMatchObject({ type: 'failed', error: { code: 'OutputIsInput', message: expect.stringContaining('report') as string } });
    }
    expect((await scene.run(scene.request({ output: other, reportPath: scene.output }))).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'OutputExists' },
    });
    expect(await scene.files()).toEqual(['converted.safetensors', 'model.safetensors']);
    await scene.convert(scene.request({ overwrite: 'replace' }));
    expect((await scene.verify()).ok).toBe(true);
  });

  it('fails with the reason where a device or the engine is missing', async () => {
    await writeModel(scene.source, TOY_MODEL);
    expect((await scene.run(scene.request({ device: 'cuda:99' }))).at(-1)).toMatchObject({
      type: 'failed',
      error: { code: 'DeviceUnavailable' },
    });
    const nowhere = new EngineClient({ modulePath: join(scene.folder, 'engine.js') });
    for await (const event of nowhere.convert(scene.request(), new AbortController().signal)) {
      expect(event).toMatchObject({
        type: 'failed',
        error: { code: 'NativeUnavailable', message: expect.stringContaining('npm run build') as string },
      });
    }
    await expect(nowhere.devices()).rejects.toMatchObject({ code: 'NativeUnavailable' });
  });

  it('fails with the last words of an engine that cannot start', async () => {
    const broken = join(scene.folder, 'broken.js');
    await writeFile(broken, 'throw new Error("no such luck")');
    const started: JobEvent[] = [];
    for await (const event of new EngineClient({ modulePath: broken }).convert(scene.request(), new AbortController().signal))
      started.push(event);
    expect(started).toEqual([
      {
        type: 'failed',
        error: {
          code: 'EngineCrashed',
          message: expect.stringMatching(/code 1\. Its last words: Error: no such luck/) as string,
          path: scene.source,
        },
      },
    ]);
  });
});

it('two conversions run beside each other, and one that dies takes nothing along', async () => {
  await writeModel(scene.source, TOY_MODEL);
  const dying = scene.run(
    slowJob({ output: join(scene.folder, 'dying.safetensors') }),
    atFirstTensor(() => {
      process.kill(scene.enginePid(), 'SIGKILL');
    }),
  );
  await eventually('the first one runs', () => scene.log.length > 0);
  const [ended, report] = await Promise.all([dying, scene.convert()]);
  expect(ended.at(-1)).toMatchObject({ type: 'failed', error: { code: 'EngineCrashed' } });
  expect(report.summary.counts.quantize).toBe(6);
  expect(await scene.files()).toEqual(['converted.safetensors', 'model.safetensors']);
});
