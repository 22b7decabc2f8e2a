/** Conversion benchmark: a large file through the whole command, beside what the disk alone takes for the same bytes in the same run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { timeConversion, type TimedConversion } from './convert/conversion';
import { measureDiskFloor, type DiskFloor } from './convert/diskFloor';
import { writeDitModel } from './convert/ditModel';
import { canDropCaches, prepareCache, type CacheState } from './convert/pageCache';
import { formatTable } from './quality/table';

const USAGE = `Converts a generated BF16 file and compares the time with reading it and writing half of it back with fsync.

  node bench/run.mjs convert [--bytes N] [--rounds N] [--folder DIR] [--rounding R] [--device D]

  --bytes N      size of the model (default: 1e9)
  --rounds N     how often each is measured, by turns; medians count (default: 5)
  --folder DIR   where the files go: the disk that is measured (default: the system's temporary folder)
  --rounding R   default: nearest
  --device D     default: cpu
`;

/** What is promised of nearest rounding on the CPU. */
const LARGEST_RATIO = 1.5;
const LARGEST_MEMORY_BYTES = 1.5e9;

interface Round {
  readonly floor: DiskFloor;
  readonly conversion: TimedConversion;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      bytes: { type: 'string', default: '1e9' },
      rounds: { type: 'string', default: '5' },
      folder: { type: 'string', default: tmpdir() },
      rounding: { type: 'string', default: 'nearest' },
      device: { type: 'string', default: 'cpu' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return;
  }
  const folder = await mkdtemp(join(resolve(values.folder), 'fp8-bench-'));
  try {
    const source = join(folder, 'dit.safetensors');
    const { parameters, fileSize } = await writeDitModel(source, Number(values.bytes));
    print(`${(fileSize / 1e9).toFixed(3)} GB, ${(parameters / 1e6).toFixed(0)} M parameters, on ${values.folder}`);
    print(`${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores, rounding ${values.rounding}, device ${values.device}\n`);
    const options = ['--rounding', values.rounding, '--device', values.device];
    for (const state of canDropCaches() ? (['warm', 'cold'] as const) : (['warm'] as const)) {
      const rounds = await measure(source, folder, state, Number(values.rounds), options);
      tell(rounds, state, fileSize, values.rounding === 'nearest' && values.device === 'cpu' ? 'promised' : 'only told');
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** By turns, so that a disk that slows down does so for both. */
async function measure(
  source: string,
  folder: string,
  state: CacheState,
  count: number,
  options: readonly string[],
): Promise<readonly Round[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < count; round++) {
    process.stderr.write(`${state}, round ${round + 1} of ${count} …\n`);
    await prepareCache(state, source);
    const floor = await measureDiskFloor(source, join(folder, 'half'));
    await prepareCache(state, source);
    const conversion = await timeConversion(source, join(folder, 'converted.safetensors'), options);
    rounds.push({ floor, conversion });
  }
  return rounds;
}

function tell(rounds: readonly Round[], state: CacheState, fileSize: number, promise: 'promised' | 'only told'): void {
  const floor = median(rounds.map((round) => round.floor.seconds));
  const conversion = median(rounds.map((round) => round.conversion.seconds));
  const ratio = conversion / floor;
  const memory = Math.max(...rounds.map((round) => round.conversion.report.summary.peakMemoryBytes));
  const seconds = (of: (round: Round) => number): string => median(rounds.map(of)).toFixed(2);
  const spread = (of: (round: Round) => number): string =>
    `${Math.min(...rounds.map(of)).toFixed(2)}–${Math.max(...rounds.map(of)).toFixed(2)}`;
  const rate = (time: number): string => `${(fileSize / 1e9 / time).toFixed(2)} GB/s`;
  print(
    formatTable(
      [`file ${state}`, 'seconds', 'from–to', 'of the source', 'of which'],
      [
        [
          'read it, write half of it, fsync',
          floor.toFixed(2),
          spread((round) => round.floor.seconds),
          rate(floor),
          `read ${seconds((round) => round.floor.readSeconds)}, write ${seconds((round) => round.floor.writeSeconds)}, fsync ${seconds((round) => round.floor.syncSeconds)}`,
        ],
        [
          'fp8 convert, from start to exit',
          conversion.toFixed(2),
          spread((round) => round.conversion.seconds),
          rate(conversion),
          `convert ${seconds((round) => round.conversion.report.summary.seconds.convert)}, finish ${seconds((round) => round.conversion.report.summary.seconds.finish)}`,
        ],
      ],
    ),
  );
  print('');
  const checks = [
    { found: `${ratio.toFixed(2)} × the disk alone`, wanted: `at most ${LARGEST_RATIO} ×`, kept: ratio <= LARGEST_RATIO },
    {
      found: `${(memory / 1e9).toFixed(2)} GB of memory at most`,
      wanted: `at most ${LARGEST_MEMORY_BYTES / 1e9} GB`,
      kept: memory <= LARGEST_MEMORY_BYTES,
    },
  ];
  for (const { found, wanted, kept } of checks) {
    print(promise === 'promised' ? `${kept ? 'kept  ' : 'BROKEN'} ${found} (${wanted})` : found);
    if (promise === 'promised' && !kept) process.exitCode = 1;
  }
  print('');
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
  process.stderr.write(`convert: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
