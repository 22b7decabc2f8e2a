/** Converts a model by the command line tool itself, as a user would, and reads its report. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { JobReport } from '../../src/engine/job/report';

const run = promisify(execFile);

export interface Conversion {
  readonly outputPath: string;
  readonly report: JobReport;
}

/** `outputName` without its extension. Throws with the tool's own words where it fails. */
export async function convertModel(modelPath: string, folder: string, outputName: string, options: readonly string[]): Promise<Conversion> {
  const program = resolve('dist/fp8.js');
  if (!existsSync(program))
    throw new Error(`${program} is missing: build it with \`npm run build\` and run this from the project's folder.`);
  const outputPath = join(folder, `${outputName}.safetensors`);
  const reportPath = join(folder, `${outputName}.json`);
  const files = ['--input', modelPath, '--output', outputPath, '--report', reportPath];
  await run(process.execPath, [program, 'convert', ...files, ...options], { maxBuffer: 1 << 26 });
  return { outputPath, report: JSON.parse(await readFile(reportPath, 'utf8')) as JobReport };
}
