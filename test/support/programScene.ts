/** What tests of the program share: its bundles, a model that takes long, and a folder for each test. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { JobEvent } from '../../src/engine/job/jobEvent';
import { writeModel } from './modelFile';
import { bundleProgram, type Program } from './program';
import { temporaryFolder, type TemporaryFolder } from './temporaryFolder';

export interface ProgramScene {
  readonly program: Program;
  /** Takes about a second and more to quantize with learned rounding, so that there is a middle of the job: 25 MB. */
  readonly slowModel: string;
  /** A new one for each test. */
  readonly folder: string;
  /** What is in it, sorted. */
  files(): Promise<readonly string[]>;
}

/** To be called once, at the top of a test file: it registers what makes the scene and takes it down. */
export function programScene(): ProgramScene {
  let shared: TemporaryFolder;
  let program: Program;
  let slowModel: string;
  let folder: TemporaryFolder;

  beforeAll(async () => {
    shared = await temporaryFolder();
    program = await bundleProgram(shared.path);
    slowModel = join(shared.path, 'slow.safetensors');
    await writeModel(
      slowModel,
      Array.from({ length: 12 }, (_, i) => ({ name: `slow.${i}.weight`, dtype: 'BF16', shape: [1024, 1024] })),
    );
  });
  afterAll(() => shared[Symbol.asyncDispose]());
  beforeEach(async () => {
    folder = await temporaryFolder();
    return () => folder[Symbol.asyncDispose]();
  });

  return {
    get program() {
      return program;
    },
    get slowModel() {
      return slowModel;
    },
    get folder() {
      return folder.path;
    },
    files: async () => (await readdir(folder.path)).sort(),
  };
}

export function terminalEvents(events: readonly JobEvent[]): readonly JobEvent[] {
  return events.filter(({ type }) => type === 'done' || type === 'failed' || type === 'cancelled');
}
