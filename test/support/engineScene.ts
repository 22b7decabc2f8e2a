/** What tests of the engine in its process share: a client for each test, and the ways to use it. */
import { join } from 'node:path';
import { beforeEach, expect } from 'vitest';
import type { ConvertRequest } from '../../src/engine/job/convertRequest';
import type { JobEvent } from '../../src/engine/job/jobEvent';
import type { JobReport } from '../../src/engine/job/report';
import type { VerifyReport, VerifyRequest } from '../../src/engine/job/verify/verifyEvent';
import { defaultRecipe, type Recipe } from '../../src/engine/plan/recipe';
import { EngineClient } from '../../src/engine/process/engineClient';
import { programScene, terminalEvents, type ProgramScene } from './programScene';

export interface EngineScene extends ProgramScene {
  /** In the test's folder; nothing is there yet. */
  readonly source: string;
  readonly output: string;
  readonly client: EngineClient;
  /** What the client logged so far. */
  readonly log: readonly string[];
  request(overrides?: Partial<ConvertRequest>, recipe?: Partial<Recipe>): ConvertRequest;
  /** Every event of a conversion, of which exactly the last one is terminal. */
  run(job: ConvertRequest, onEvent?: (event: JobEvent) => void | Promise<void>, signal?: AbortSignal): Promise<readonly JobEvent[]>;
  /** Throws unless it is done. */
  convert(job?: ConvertRequest): Promise<JobReport>;
  /** `output` against `source` unless told. */
  verify(asked?: Partial<VerifyRequest>): Promise<VerifyReport>;
  /** `output` by its loader's rules alone. */
  verifyAlone(): Promise<VerifyReport>;
  /** Of the process that was started first. */
  enginePid(): number;
}

/** To be called once, at the top of a test file. */
export function engineScene(): EngineScene {
  const scene = programScene();
  let log: string[];
  let client: EngineClient;
  beforeEach(() => {
    log = [];
    client = new EngineClient({ modulePath: scene.program.engineModule, log: (line) => log.push(line) });
    return () => client.dispose();
  });

  const source = (): string => join(scene.folder, 'model.safetensors');
  const output = (): string => join(scene.folder, 'converted.safetensors');
  const request: EngineScene['request'] = (overrides = {}, recipe = {}) => ({
    source: source(),
    output: output(),
    recipe: defaultRecipe(recipe),
    device: 'cpu',
    threads: 0,
    overwrite: 'refuse',
    ...overrides,
  });
  const run: EngineScene['run'] = async (job, onEvent, signal = new AbortController().signal) => {
    const events: JobEvent[] = [];
    for await (const event of client.convert(job, signal)) {
      events.push(event);
      await onEvent?.(event);
    }
    expect(terminalEvents(events)).toEqual([events.at(-1)]);
    return events;
  };

  const verify = async (request: VerifyRequest): Promise<VerifyReport> => {
    for await (const event of client.verify(request, new AbortController().signal)) {
      if (event.type === 'done') return event.report;
      if (event.type === 'failed') throw new Error(event.error.message);
    }
    throw new Error('the verification did not end');
  };

  return {
    get program() {
      return scene.program;
    },
    get slowModel() {
      return scene.slowModel;
    },
    get folder() {
      return scene.folder;
    },
    files: () => scene.files(),
    get source() {
      return source();
    },
    get output() {
      return output();
    },
    get client() {
      return client;
    },
    get log() {
      return log;
    },
    request,
    run,
    convert: async (job = request()) => {
      const end = (await run(job)).at(-1);
      if (end?.type !== 'done') throw new Error(JSON.stringify(end));
      return end.report;
    },
    verify: (asked = {}) => verify({ converted: output(), source: source(), threads: 0, ...asked }),
    verifyAlone: () => verify({ converted: output(), threads: 0 }),
    enginePid: () => {
      const pid = /engine (\d+): started/.exec(log.join('\n'))?.[1];
      if (pid === undefined) throw new Error(`no engine was started: ${log.join('; ')}`);
      return Number(pid);
    },
  };
}

/** An observer that acts once, as soon as tensors are worked on. */
export function atFirstTensor(act: () => void | Promise<void>): (event: JobEvent) => Promise<void> {
  let acted = false;
  return async (event) => {
    if (acted || event.type !== 'tensorStarted') return;
    acted = true;
    await act();
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
