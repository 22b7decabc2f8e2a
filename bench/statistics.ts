/** Statistics benchmark: what each source of statistics adds to the time of a conversion, side by side and by turns. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { timeConversion, type TimedConversion } from './convert/conversion';
import { formatTable } from './quality/table';
import { writeBlockModel } from './statistics/blockModel';
import { writeDiagonals, writeSamples } from './statistics/calibrationFile';
import { convertOptions, fileNameOf, SOURCES, type TimedSource } from './statistics/sources';

const USAGE = `Converts the sample model and a diffusion transformer of 0.11 GB with each source of statistics, by turns, and compares the times.

  node bench/run.mjs statistics [--rounds N] [--folder DIR] [--device D] [--model sample|blocks]

  --rounds N     how often each is timed; medians count (default: 5)
  --folder DIR   where the files go, of which some take 0.5 GB (default: the system's temporary folder)
  --device D     default: cpu
  --model M      one of the two models alone
`;

const MODELS = ['sample', 'blocks'] as const;
type ModelName = (typeof MODELS)[number];
const SAMPLE_MODEL = 'samples/kjv-lm.safetensors';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      folder: { type: 'string', default: tmpdir() },
      device: { type: 'string', default: 'cpu' },
      model: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const rounds = Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error(`--rounds takes a whole number from 1; got "${values.rounds}".`);
  const models = MODELS.filter((name) => values.model === undefined || name === values.model);
  if (models.length === 0) throw new Error(`--model is one of ${MODELS.join(', ')}; got "${values.model ?? ''}".`);
  print(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, device ${values.device}, medians of ${rounds}\n`);
  for (const model of models) {
    const folder = await mkdtemp(join(resolve(values.folder), 'fp8-bench-'));
    try {
      await measure(model, folder, rounds, values.device);
    } finally {
      await rm(folder, { recursive: true });
    }
  }
}

async function measure(name: ModelName, folder: string, rounds: number, device: string): Promise<void> {
  const model = name === 'sample' ? resolve(SAMPLE_MODEL) : join(folder, 'blocks.safetensors');
  if (name === 'blocks') await writeBlockModel(model);
  const files = new Map<TimedSource, string>();
  for (const source of SOURCES) {
    const path = await calibrationOf(source, model, folder);
    if (path !== undefined) files.set(source, path);
  }
  const times = new Map<TimedSource, TimedConversion[]>(SOURCES.map((source) => [source, []]));
  for (let round = 0; round < rounds; round++) {
    for (const source of SOURCES) {
      process.stderr.write(`${name}, round ${round + 1} of ${rounds}: ${source.name} …\n`);
      const options = [...convertOptions(source, files.get(source)), '--device', device];
      times.get(source)?.push(await timeConversion(model, join(folder, 'converted.safetensors'), options));
    }
  }
  print(
    `${name === 'sample' ? 'The sample model, 8.3 MB' : 'A diffusion transformer, 0.11 GB'} (load ${loadavg()[0]?.toFixed(1) ?? '?'} at the end)\n`,
  );
  print(`${tableOf(times)}\n`);
}

/** Undefined where the source needs none. */
async function calibrationOf({ calibration }: TimedSource, model: string, folder: string): Promise<string | undefined> {
  if (calibration === undefined) return undefined;
  const path = join(folder, fileNameOf(calibration));
  if (!existsSync(path)) await (calibration.kind === 'diagonals' ? writeDiagonals(model, path) : writeSamples(model, path, calibration));
  return path;
}

function tableOf(times: ReadonlyMap<TimedSource, readonly TimedConversion[]>): string {
  const command = (of: readonly TimedConversion[]): number => median(of.map(({ seconds }) => seconds));
  const [[, first] = [undefined, []]] = times;
  const base = command(first);
  const rows = [...times].map(([{ name }, runs]) => {
    const part = (of: (seconds: TimedConversion['report']['summary']['seconds']) => number): string =>
      `${median(runs.map(({ report }) => of(report.summary.seconds))).toFixed(2)} s`;
    return [
      name,
      `${command(runs).toFixed(2)} s`,
      (command(runs) / base).toFixed(2),
      part(({ plan }) => plan),
      part(({ statistics }) => statistics ?? 0),
      part(({ convert }) => convert),
    ];
  });
  return formatTable(['statistics', 'command', '÷ gram', 'plan and checks', 'sending samples', 'converting'], rows);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? NaN) : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
