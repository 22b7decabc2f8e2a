/** Quality of every target: what each grid and granularity does to the sample model's predictions, learned against nearest. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import type { QuantizedResult } from '../src/engine/job/quantizer';
import { klDivergence } from './model/divergence';
import { readTensorFile } from './model/tensorFile';
import { readEvaluationText, SAMPLE_MODEL } from './quality/evaluationText';
import { measureOriginal } from './quality/measure';
import { RowPool, serveRows } from './quality/rowPool';
import { mean, ratioOfMeans } from './quality/statistics';
import { formatTable } from './quality/table';
import { quantizeModel, type Way } from './targets/quantizeModel';
import { TARGETS } from './targets/targets';

const USAGE = `Quantizes the sample model to every grid and granularity and runs it: nearest, learned, and learned on both sides.

  node bench/run.mjs targets [--rows N] [--threads N] [--only TEXT]

  --rows N      measure on the first N evaluation rows instead of all
  --threads N   threads that run the model (default: all cores)
  --only TEXT   the targets whose names contain this
`;

const NEAREST: Way = { name: 'nearest', rounding: 'nearest' };
const LEARNED: readonly Way[] = [
  { name: 'learned', rounding: 'learned' },
  { name: 'both sides', rounding: 'learned', outputs: { terms: [{ kind: 'gram', weight: 1 }], damping: 2 } },
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'fp8-targets-'));
  const pool = new RowPool(process.argv[1]!, Number(values.threads));
  try {
    await compare(pool, folder, values.only, values.rows === undefined ? Infinity : Number(values.rows));
  } finally {
    await pool.dispose();
    await rm(folder, { recursive: true });
  }
}

async function compare(pool: RowPool, folder: string, only: string, rowLimit: number): Promise<void> {
  const rows = (await readEvaluationText()).slice(0, rowLimit);
  const file = await readTensorFile(SAMPLE_MODEL);
  const original = await measureOriginal(pool, rows);
  let modelCount = 0;
  const measure = async (target: (typeof TARGETS)[number], way: Way): Promise<Measured> => {
    modelCount += 1;
    const path = join(folder, `${modelCount}.safetensors`);
    const results = await quantizeModel(file, target, way, path);
    const converted = await pool.logProbabilities(
      path,
      rows.map(({ tokens }) => tokens),
    );
    await rm(path);
    return { results, kl: original.logProbabilities.map((row, index) => klDivergence(row, converted[index]!)) };
  };
  process.stdout.write(
    `KL(original ‖ quantized) over ${rows.length} rows. ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores.\n\n`,
  );
  const lines: string[][] = [];
  const broken: string[] = [];
  for (const target of TARGETS.filter(({ name }) => name.includes(only))) {
    process.stderr.write(`${target.name} …\n`);
    const nearest = await measure(target, NEAREST);
    const line = [target.name, String(target.bits), percent(nearest.results), mean(nearest.kl).toExponential(3)];
    for (const way of LEARNED) {
      const learned = await measure(target, way);
      const ratio = ratioOfMeans(learned.kl, nearest.kl);
      line.push(mean(learned.kl).toExponential(3), `${ratio.value.toFixed(3)} ± ${ratio.standardError.toFixed(3)}`);
      if (way === LEARNED[0]) line.push(objectiveRatio(learned.results).toFixed(3));
      if (ratio.value >= 1) broken.push(`${target.name}, ${way.name}`);
      if (learned.results.some(({ objective = 0, objectiveNearest = 0 }) => objective > objectiveNearest))
        broken.push(`${target.name}: objective`);
    }
    lines.push(line);
  }
  const head = [
    'target',
    'bits',
    'error, nearest',
    'KL, nearest',
    'KL, learned',
    '÷ nearest',
    'objective ÷',
    'KL, both sides',
    '÷ nearest',
  ];
  process.stdout.write(`${formatTable(head, lines)}\n\n`);
  process.stdout.write(broken.length === 0 ? 'kept   learned rounding wins with every target\n' : `BROKEN ${broken.join('; ')}\n`);
  if (broken.length > 0) process.exitCode = 1;
}

interface Measured {
  readonly results: readonly QuantizedResult[];
  readonly kl: readonly number[];
}

/** ‖Q − W‖ ÷ ‖W‖ over all matrices. */
function percent(results: readonly QuantizedResult[]): string {
  const squares = results.reduce((sum, { squaredSource }) => sum + squaredSource, 0);
  const errors = results.reduce((sum, { relativeError, squaredSource }) => sum + relativeError ** 2 * squaredSource, 0);
  return `${(100 * Math.sqrt(errors / squares)).toFixed(2)} %`;
}

function objectiveRatio(results: readonly QuantizedResult[]): number {
  const nearest = results.reduce((sum, { objectiveNearest = 0 }) => sum + objectiveNearest, 0);
  return results.reduce((sum, { objective = 0 }) => sum + objective, 0) / nearest;
}

if (isMainThread) {
  main().catch((error: unknown) => {
    process.stderr.write(`targets: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
} else {
  serveRows();
}
