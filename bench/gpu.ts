/** GPU benchmark: the same results as the CPU, and at the speed of the disk? Whole commands, from start to exit. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { writeDitModel } from './convert/ditModel';
import { writeLlamaModel } from './convert/llamaModel';
import { measureParity, type Parity } from './gpu/parity';
import { measureSpeed, type Speed } from './gpu/speed';
import { RowPool, serveRows } from './quality/rowPool';
import { formatTable } from './quality/table';
import type { Variant } from './quality/variants';

const USAGE = `Compares a GPU with the CPU on the sample model, and times whole conversions on it.

  node bench/run.mjs gpu [--device D] [--folder DIR] [--part parity|block|sources|large]… [--large-bytes N] [--calibration FILE] [--json FILE]

  --device D         default: cuda:0
  --folder DIR       where the files go: the disk that is measured (default: the system's temporary folder)
  --part P           only these parts (default: all four)
  --variant NAME     compares these variants alone (may be repeated)
  --calibration FILE compares the sample model rounded by it as well
  --large-bytes N    size of the large file (default: 8.2e9)
  --json FILE        writes every figure
`;

/** One block of a diffusion transformer: 226 million parameters in BF16. */
const BLOCK_BYTES = 452e6;

/** What each source of statistics adds to a conversion. */
const SOURCES: readonly (readonly [string, typeof writeDitModel, number, readonly Variant[]])[] = [
  ['diffusion transformer', writeDitModel, BLOCK_BYTES, [variantOf('gram', 'input'), variantOf('gram', 'both')]],
  [
    'language model',
    writeLlamaModel,
    430e6,
    [variantOf('gram', 'input'), variantOf('propagated', 'input'), variantOf('propagated', 'both')],
  ],
];

function variantOf(statistics: string, sides: string): Variant {
  return { name: `${statistics}, ${sides}`, convertOptions: ['--rounding', 'learned', '--statistics', statistics, '--sides', sides] };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      device: { type: 'string', default: 'cuda:0' },
      folder: { type: 'string', default: tmpdir() },
      part: { type: 'string', multiple: true, default: ['parity', 'block', 'sources', 'large'] },
      'large-bytes': { type: 'string', default: '8.2e9' },
      calibration: { type: 'string' },
      variant: { type: 'string', multiple: true },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    print(USAGE);
    return;
  }
  const { device } = values;
  const folder = await mkdtemp(join(resolve(values.folder), 'fp8-gpu-'));
  const figures: Record<string, unknown> = {};
  try {
    if (values.part.includes('parity')) {
      const pool = new RowPool(process.argv[1]!, 8);
      const parity = await measureParity(pool, folder, device, values).finally(() => pool.dispose());
      figures['parity'] = parity;
      parity.forEach(tellParity);
    }
    if (values.part.includes('block')) {
      const block = await measureSpeed({ folder, device, bytes: BLOCK_BYTES, rounds: 5, caches: ['warm'], compareBytes: 'compare' });
      figures['block'] = block;
      block.speeds.forEach(tellSpeed);
      print(`two conversions give ${block.sameBytes === true ? 'the same bytes' : 'DIFFERENT BYTES'}\n`);
    }
    if (values.part.includes('sources')) {
      const sources: Record<string, unknown> = {};
      for (const [shape, writeModel, bytes, variants] of SOURCES) {
        for (const variant of variants) {
          const { speeds } = await measureSpeed({
            folder,
            device,
            bytes,
            rounds: 2,
            caches: ['warm'],
            compareBytes: 'skip',
            variant,
            writeModel,
          });
          sources[`${shape}, ${variant.name}`] = speeds;
          print(`\n${shape}, ${variant.name}:`);
          speeds.forEach(tellSpeed);
        }
      }
      figures['sources'] = sources;
    }
    if (values.part.includes('large')) {
      const bytes = Number(values['large-bytes']);
      const large = await measureSpeed({ folder, device, bytes, rounds: 1, caches: ['warm', 'cold'], compareBytes: 'skip' });
      figures['large'] = large;
      large.speeds.forEach(tellSpeed);
    }
  } finally {
    await rm(folder, { recursive: true });
    if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 1)}\n`);
  }
}

function tellParity(parity: Parity): void {
  print(
    `${parity.variant}: ${parity.tensors} tensors, objective within ${percent(parity.worstObjective)} (${parity.worstTensor}), ` +
      `of nearest within ${percent(parity.worstObjectiveNearest)}; KL ${parity.klOnGpu.toExponential(4)} on the GPU, ` +
      `${parity.klOnCpu.toExponential(4)} on the CPU (${percent(parity.klOnGpu / parity.klOnCpu - 1)}); ` +
      (parity.sameBytes ? 'same bytes' : 'DIFFERENT BYTES'),
  );
}

function tellSpeed(speed: Speed): void {
  print(`\n${(speed.fileSize / 1e9).toFixed(2)} GB, ${(speed.parameters / 1e6).toFixed(0)} M parameters, file ${speed.cache}`);
  const seconds = (value: number): string => value.toFixed(2);
  print(
    formatTable(
      [
        'floor',
        'read, write, fsync',
        'command',
        'statistics',
        'convert',
        'finish',
        'GPU busy',
        'of convert',
        'host GB',
        'device GB',
        '÷ floor',
      ],
      speed.rounds.map((round) => [
        seconds(round.floor.seconds),
        [round.floor.readSeconds, round.floor.writeSeconds, round.floor.syncSeconds].map(seconds).join(', '),
        seconds(round.seconds),
        seconds(round.statisticsSeconds),
        seconds(round.convertSeconds),
        seconds(round.finishSeconds),
        seconds(round.busySeconds),
        percent(round.busySeconds / round.convertSeconds),
        (round.hostBytes / 1e9).toFixed(2),
        (round.deviceBytes / 1e9).toFixed(2),
        seconds(round.seconds / round.floor.seconds),
      ]),
    ),
  );
  for (const tensor of speed.tensors.slice(0, 6)) {
    print(`  ${tensor.shape.join(' × ')}: ${tensor.sweeps} sweeps, ${tensor.seconds.toFixed(3)} s from first read to last write`);
  }
}

function percent(value: number): string {
  return `${(100 * value).toFixed(2)} %`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (isMainThread) {
  main().catch((error: unknown) => {
    process.stderr.write(`gpu: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
} else {
  serveRows();
}
