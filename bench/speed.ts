/** Everything that is promised of speed and memory on the CPU, in one run; the exit code says whether all of it was kept. */
import { spawnSync } from 'node:child_process';

const BENCHMARKS = ['learned', 'convert', 'open'] as const;

const broken = BENCHMARKS.filter((name) => {
  process.stdout.write(`── ${name}\n\n`);
  const { status } = spawnSync(process.execPath, ['bench/run.mjs', name], { stdio: 'inherit' });
  process.stdout.write('\n');
  return status !== 0;
});
process.stdout.write(broken.length === 0 ? 'Every promise was kept.\n' : `Not kept, or not measured: ${broken.join(', ')}.\n`);
process.exitCode = broken.length === 0 ? 0 : 1;
