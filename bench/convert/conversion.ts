/** One conversion by the command line tool itself, timed from its start to its exit. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { JobReport } from '../../src/engine/job/report';

const run = promisify(execFile);

export interface TimedConversion {
  readonly seconds: number;
  readonly report: JobReport;
}

/** The output is removed. Throws with the tool's own words where it fails. */
export async function timeConversion(source: string, output: string, options: readonly string[]): Promise<TimedConversion> {
  const program = resolve('dist/fp8.js');
  if (!existsSync(program)) throw new Error(`${program} is missing. Build it with: npm run build`);
  const reportPath = `${output}.json`;
  const startedAt = performance.now();
  await run(process.execPath, [program, 'convert', source, '--output', output, '--force', '--report', reportPath, ...options]);
  const seconds = (performance.now() - startedAt) / 1000;
  const report = JSON.parse(await readFile(reportPath, 'utf8')) as JobReport;
  await rm(output);
  await rm(reportPath);
  return { seconds, report };
}
