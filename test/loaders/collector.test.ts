/** The calibration collector sees all of a run alike, with PyTorch itself; skipped where there is none. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporaryFolder';

const PYTHON = ['python3', '/usr/bin/python3'].find((path) => spawnSync(path, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0);

test('the collector says of a long run what all of it comes to', { timeout: 180_000 }, async (context) => {
  if (PYTHON === undefined) context.skip('no python3 with PyTorch');
  await using folder = await temporaryFolder();
  const run = spawnSync(PYTHON ?? '', [join(import.meta.dirname, 'check_collector.py'), folder.path], { encoding: 'utf8' });
  expect(run.stderr + run.stdout).toBe('');
  expect(run.status).toBe(0);
});
