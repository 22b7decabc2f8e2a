// Builds and runs the C++ tests. The last line says `native: N passed, N failed, N skipped`; with TEST_RESULTS_FILE the counts are written there as JSON.
// Options: --filter=REGEX for CTest, --cuda=auto|on|off (or FP8_CUDA in the environment).
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { junitResults } from './test/junit.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'native-tests');
const report = join(folder, 'ctest.xml');

const { values: options } = parseArgs({
  options: {
    filter: { type: 'string', default: '' },
    cuda: { type: 'string', default: process.env.FP8_CUDA ?? 'auto' },
  },
});

process.exitCode = test();

/** @returns {number} the exit code */
function test() {
  const configure = [
    '-S',
    'native',
    '-B',
    folder,
    '-G',
    'Ninja',
    '-DFP8_TESTS=ON',
    '-DFP8_BENCH=OFF',
    `-DFP8_CUDA=${options.cuda.toUpperCase()}`,
  ];
  if (!run('cmake', configure) || !run('cmake', ['--build', folder, '--parallel', String(availableParallelism())])) return 1;
  rmSync(report, { force: true });
  // One test at a time: they use all cores themselves.
  const parameters = ['--test-dir', folder, '--output-on-failure', '--output-junit', report];
  spawnSync('ctest', options.filter === '' ? parameters : [...parameters, '-R', options.filter], { cwd: root, stdio: 'inherit' });
  return summarise(readFileSync(report, 'utf8'));
}

/** @param {string} junit @returns {number} the exit code */
function summarise(junit) {
  const results = junitResults(junit);
  const { passed, failed, skipped } = results;
  const path = process.env.TEST_RESULTS_FILE;
  if (path !== undefined) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(results));
  }
  console.log(`native: ${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

/** Its output is shown when it fails. @param {string} program @param {readonly string[]} parameters */
function run(program, parameters) {
  const { status, stdout, stderr, error } = spawnSync(program, parameters, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (error) console.error(`${program} cannot be run: ${error.message}`);
  if (status !== 0) console.error(`${stdout}${stderr}`);
  return status === 0;
}
