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
  /**
   * Takes one thread many seconds to quantize with learned rounding, on any machine: for jobs that are to be met in their middle, with
   * `threads: 1`. 75 MB.
   */
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
      Array.from({ length: 4 }, (_, i) => ({ name: `slow.${i}.weight`, dtype: 'BF16', shape: [3072, 3072] })),
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
