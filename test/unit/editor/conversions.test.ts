import { describe, expect, it } from 'vitest';
import { AsyncQueue } from '../../../src/base/asyncQueue';
import { Conversions, type Converter } from '../../../src/editor/conversion/conversions';
import type { ConvertRequest } from '../../../src/engine/job/convertRequest';
import type { JobEvent, JobProgress } from '../../../src/engine/job/jobEvent';
import { defaultRecipe } from '../../../src/engine/plan/recipe';

/** An engine whose jobs do what the test says, and end as cancelled when they are told to stop. */
class Engine implements Converter {
  readonly started: string[] = [];
  readonly jobs = new Map<string, AsyncQueue<JobEvent>>();

  async *convert({ source }: ConvertRequest, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const events = new AsyncQueue<JobEvent>();
    this.started.push(source);
    this.jobs.set(source, events);
    signal.addEventListener('abort', () => {
      events.push({ type: 'cancelled' });
      events.end();
    });
    yield* events;
  }

  finish(source: string): void {
    this.jobs.get(source)?.push({ type: 'failed', error: { code: 'DiskFull', message: `no room for ${source}` } });
  }
}

describe('Conversions', () => {
  it('runs one conversion after another, in the order they were asked for', async () => {
    const { engine, conversions } = setUp();
    const phases: string[] = [];
    conversions.of('a').onChange(({ phase }) => phases.push(phase));
    const first = conversions.start(request('a'));
    const second = conversions.start(request('b'));
    await settled();
    expect(engine.started).toEqual(['a']);
    // It waits for nothing, and nobody is told that it does.
    expect(new Set(phases)).toEqual(new Set(['running']));
    expect([conversions.of('a').value.phase, conversions.of('b').value.phase]).toEqual(['running', 'queued']);
    engine.finish('a');
    expect((await first).phase).toBe('failed');
    await settled();
    expect(engine.started).toEqual(['a', 'b']);
    engine.finish('b');
    await second;
    await settled();
    void conversions.start(request('c'));
    expect(conversions.of('c').value.phase).toBe('running');
    conversions.cancel('c');
  });

  it('lets nobody pass when one is cancelled in the queue', async () => {
    const { engine, conversions } = setUp();
    void conversions.start(request('a'));
    const second = conversions.start(request('b'));
    void conversions.start(request('c'));
    await settled();
    conversions.cancel('b');
    expect(await second).toEqual({ phase: 'cancelled', output: 'b.out' });
    await settled();
    expect(engine.started).toEqual(['a']);
    engine.finish('a');
    await settled();
    expect(engine.started).toEqual(['a', 'c']);
    conversions.cancel('c');
  });

  it('shows progress as it comes, and forgets an outcome only when nothing runs', async () => {
    const { engine, conversions } = setUp();
    const ended = conversions.start(request('a'));
    await settled();
    const progress: JobProgress = {
      type: 'progress',
      fraction: 0.5,
      bytesDone: 1,
      bytesTotal: 2,
      bytesPerSecond: 1,
      elapsedSeconds: 1,
      tensorsDone: 1,
      tensorsTotal: 2,
      current: ['w'],
    };
    engine.jobs.get('a')?.push(progress);
    await settled();
    expect(conversions.of('a').value).toEqual({ phase: 'running', output: 'a.out', progress, finished: [] });
    conversions.forgetOutcome('a');
    expect(conversions.of('a').value.phase).toBe('running');
    expect(conversions.writes('a.out')).toBe(true);
    conversions.cancel('a');
    expect((await ended).phase).toBe('cancelled');
    expect([conversions.isActive('a'), conversions.writes('a.out')]).toEqual([false, false]);
    conversions.forgetOutcome('a');
    expect(conversions.of('a').value.phase).toBe('idle');
  });

  it('runs conversions on different devices at the same time', async () => {
    const { engine, conversions } = setUp();
    void conversions.start(request('a'));
    void conversions.start({ ...request('b'), device: 'cuda:0' });
    void conversions.start({ ...request('c'), device: 'cuda:0' });
    await settled();
    expect(engine.started).toEqual(['a', 'b']);
    for (const source of ['a', 'b', 'c']) conversions.cancel(source);
  });

  it('remembers the objective of each tensor that is finished', async () => {
    const { engine, conversions } = setUp();
    void conversions.start(request('a'));
    await settled();
    const tensor = {
      name: 'w',
      action: 'quantize',
      reason: '',
      shape: [2, 2],
      sourceDtype: 'F32',
      bytesIn: 16,
      bytesOut: 4,
      seconds: 0,
    } as const;
    engine.jobs.get('a')?.push({ type: 'tensorFinished', tensor: { ...tensor, objective: 3, objectiveNearest: 4 } });
    engine.jobs.get('a')?.push({ type: 'tensorFinished', tensor: { ...tensor, action: 'keep' } });
    await settled();
    expect(conversions.of('a').value).toMatchObject({ phase: 'running', finished: [{ name: 'w', value: 0.75 }] });
    conversions.cancel('a');
  });

  it('shows that one was cut off until another begins', async () => {
    const { conversions } = setUp();
    conversions.interrupted('a', 'a.out', []);
    expect(conversions.of('a').value).toEqual({ phase: 'interrupted', output: 'a.out', leftBehind: [] });
    void conversions.start(request('a'));
    await settled();
    conversions.interrupted('a', 'a.out', []);
    expect(conversions.of('a').value.phase).toBe('running');
    conversions.cancel('a');
  });

  it('refuses a second conversion of the same file while one is active', async () => {
    const { conversions } = setUp();
    void conversions.start(request('a'));
    await expect(conversions.start(request('a'))).rejects.toThrow(/already/);
    conversions.cancel('a');
  });

  it('calls an engine that says nothing a failure', async () => {
    const nothing = new AsyncQueue<JobEvent>();
    nothing.end();
    const silent: Converter = { convert: () => nothing };
    const outcome = await new Conversions(silent, () => undefined).start(request('a'));
    expect(outcome.phase).toBe('failed');
  });
});

function setUp(): { engine: Engine; conversions: Conversions } {
  const engine = new Engine();
  return { engine, conversions: new Conversions(engine, () => undefined) };
}

function request(source: string): ConvertRequest {
  return { source, output: `${source}.out`, recipe: defaultRecipe(), device: 'cpu', threads: 1, overwrite: 'refuse' };
}

/** Once everything that can go on by itself has done so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
