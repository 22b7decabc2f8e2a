/** What tests of the program share: its bundles, a model that takes long, and a folder for each test. */
import { writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { JobEvent } from '../../src/engine/job/jobEvent';
import { modelBytes } from './modelFile';
import { bundleProgram, type Program } from './program';
import { temporaryFolder, type TemporaryFolder } from './temporaryFolder';

export interface ProgramScene {
  readonly program: Program;
  /**
   * Takes one thread many seconds to quantize with learned rounding, on any machine: for jobs that are to be met in their middle, with
   * `threads: 1`. 75 MB, made when the first test of a file asks for it.
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
  let slowModel: string | undefined;
  let folder: TemporaryFolder;

  beforeAll(async () => {
    shared = await temporaryFolder();
    program = await bundleProgram(shared.path);
    slowModel = undefined;
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
      slowModel ??= writeSlowModel(shared.path);
      return slowModel;
    },
    get folder() {
      return folder.path;
    },
    files: async () => (await readdir(folder.path)).sort(),
  };
}

function writeSlowModel(folder: string): string {
  const path = join(folder, 'slow.safetensors');
  writeFileSync(path, modelBytes(Array.from({ length: 4 }, (_, i) => ({ name: `slow.${i}.weight`, dtype: 'BF16', shape: [3072, 3072] }))));
  return path;
}

export function terminalEvents(events: readonly JobEvent[]): readonly JobEvent[] {
  return events.filter(({ type }) => type === 'done' || type === 'failed' || type === 'cancelled');
}
