/** A build for trying things out runs on the GPUs of the machine that it was made on; a package on all. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cudaArchitecturesFor } from '../../scripts/setup/cudaArchitectures.mjs';

const root = join(import.meta.dirname, '../..');

test.each([
  [['8.9'], '89-real'],
  [['9.0', '9.0'], '90a-real'],
  [['7.5', '8.6', ''], '75-real;86-real'],
  // Code for an earlier minor version runs on a later one.
  [['8.7'], '86-real'],
  [['12.1'], '120-real'],
  // Code for an earlier major version does not, but PTX does.
  [['11.0'], '100-virtual'],
  [['13.0'], '120-virtual'],
])('GPUs of compute capability %s get code for %s', (capabilities, architectures) => {
  expect(cudaArchitecturesFor(capabilities)).toBe(architectures);
});

test.each([[[]], [['']], [['NVIDIA-SMI has failed']], [['6.1']]])(
  'without a GPU that it can use (%j) a build is for one architecture',
  (capabilities) => {
    expect(cudaArchitecturesFor(capabilities)).toBe('90a-real');
  },
);

test('every package has code for all GPUs that are supported, and PTX for those to come', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  expect(scripts['package']).toContain('build:native -- --cuda-architectures=all');
  const cmake = readFileSync(join(root, 'native/cmake/cuda.cmake'), 'utf8');
  expect(/STREQUAL "all"\)\s*set\(CMAKE_CUDA_ARCHITECTURES (.*)\)/.exec(cmake)?.[1]).toBe(
    '75-real 80-real 86-real 89-real 90a-real 100-real 120',
  );
});
