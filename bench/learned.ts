/** Learned rounding at full rank beside this machine's own matrix product: builds native/bench/learned_bench.cpp and runs it. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';

const USAGE = `Compares the rate of learned rounding with that of cblas_sgemm, on all cores, by turns.

  node bench/run.mjs learned [ROWS COLUMNS]...     (default: 3072 3072 9216 3072)
`;

const BUILD = 'build/native-bench';

main(process.argv.slice(2));

function main(shapes: readonly string[]): void {
  if (shapes.includes('--help') || shapes.includes('-h')) {
    process.stdout.write(USAGE);
    return;
  }
  const options = ['-DFP8_BENCH=ON', '-DFP8_TESTS=OFF', '-DFP8_CUDA=OFF'];
  const isBuilt =
    run('cmake', ['-S', 'native', '-B', BUILD, '-G', 'Ninja', ...options], 'quietly') === 0 &&
    run('cmake', ['--build', BUILD, '--target', 'learned_bench', '--parallel', String(availableParallelism())], 'quietly') === 0;
  if (!isBuilt) {
    process.exitCode = 2;
    return;
  }
  process.stdout.write(`${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores\n\n`);
  process.exitCode = run(join(BUILD, 'bench/learned_bench'), shapes, 'visibly');
}

/** The exit code. What a quiet program prints is shown where it fails. */
function run(program: string, parameters: readonly string[], how: 'quietly' | 'visibly'): number {
  const { status, error, stdout, stderr } = spawnSync(program, parameters, {
    stdio: how === 'visibly' ? 'inherit' : 'pipe',
    encoding: 'utf8',
  });
  if (error !== undefined) process.stderr.write(`${program} cannot be run: ${error.message}\n`);
  else if (how === 'quietly' && status !== 0) process.stderr.write(stdout + stderr);
  return status ?? 1;
}
