/** Curves of the optimiser on the sample model: what each sweep and each principal component buys, as SVG images. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { plot, type Line } from './curves/plot';
import { readEvaluationText } from './quality/evaluationText';
import { measureOriginal, measureVariant } from './quality/measure';
import { RowPool, serveRows } from './quality/rowPool';
import { ratioOfMeans } from './quality/statistics';
import { formatTable } from './quality/table';
import { NEAREST } from './quality/variants';

const USAGE = `Converts the sample model with ever more sweeps and principal components, and plots objective and KL against nearest rounding.

  node bench/run.mjs curves [--rows N] [--calibration FILE] [--folder FOLDER]

  --rows N             measure on the first N evaluation rows (default: 24)
  --calibration FILE   one more line: statistics of real inputs, as bench/quality/collectSample.py gathers them
  --folder FOLDER      where sweeps.svg and components.svg go (default: docs/images)
`;

/** The last stands for "until it stops by itself". */
const SWEEPS = [1, 2, 3, 8, 500] as const;
/** The sample model's matrices have 256 or more rows and columns: 704 is full rank for all. */
const COMPONENTS = [1, 16, 64, 256, 704] as const;

interface Series {
  readonly name: string;
  readonly options: readonly string[];
}

interface Found {
  readonly x: number;
  readonly objective: number;
  readonly kl: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '24' },
      calibration: { type: 'string' },
      folder: { type: 'string', default: join('docs', 'images') },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const learned = ['--rounding', 'learned'];
  const gram = { name: 'gram', options: [...learned, '--statistics', 'gram', '--sides', 'input'] };
  const calibration = values.calibration;
  const calibrated =
    calibration === undefined ? [] : [{ name: 'calibrated', options: [...learned, '--calibration', calibration, '--sides', 'input'] }];
  const bothSides = { name: 'gram, both sides', options: [...learned, '--statistics', 'gram', '--sides', 'both'] };
  const rows = (await readEvaluationText()).slice(0, Number(values.rows));
  const folder = await mkdtemp(join(tmpdir(), 'fp8-curves-'));
  const pool = new RowPool(process.argv[1]!, availableParallelism());
  try {
    const original = await measureOriginal(pool, rows);
    let count = 0;
    const measure = async (name: string, options: readonly string[]): ReturnType<typeof measureVariant> => {
      process.stderr.write(`${name} …\n`);
      count += 1;
      return measureVariant(pool, original, { name, convertOptions: options }, { folder, name: String(count), device: 'cpu' });
    };
    const nearest = await measure(NEAREST.name, NEAREST.convertOptions);
    const follow = async ({ name, options }: Series, option: string, positions: readonly number[]): Promise<readonly Found[]> => {
      const found: Found[] = [];
      for (const x of positions) {
        const { report, klPerRow } = await measure(`${name}, ${option} ${x}`, [...options, option, String(x)]);
        found.push({ x, objective: report.summary.objectiveRatio ?? NaN, kl: ratioOfMeans(klPerRow, nearest.klPerRow).value });
      }
      return found;
    };
    const sweeps: [string, readonly Found[]][] = [];
    for (const series of [gram, bothSides, ...calibrated]) sweeps.push([series.name, await follow(series, '--num_iter', SWEEPS)]);
    const components: [string, readonly Found[]][] = [[gram.name, await follow(gram, '--top_k', COMPONENTS)]];
    await draw(join(values.folder, 'sweeps.svg'), 'sweeps (--num_iter)', SWEEPS, 'all', sweeps);
    await draw(join(values.folder, 'components.svg'), 'principal components (--top_k)', COMPONENTS, 'full', components);
  } finally {
    await pool.dispose();
    await rm(folder, { recursive: true });
  }
}

async function draw(
  path: string,
  xTitle: string,
  positions: readonly number[],
  last: string,
  series: readonly (readonly [string, readonly Found[]])[],
): Promise<void> {
  const ticks = positions.map((x, index) => ({ x, label: index === positions.length - 1 ? last : String(x) }));
  const panel = (title: string, yOf: (found: Found) => number): Parameters<typeof plot>[0][number] => ({
    title,
    xTitle,
    ticks,
    lines: series.map(([name, found]): Line => ({ name, points: found.map((each) => ({ x: each.x, y: yOf(each) })) })),
  });
  await writeFile(path, plot([panel('Objective ÷ nearest', ({ objective }) => objective), panel('KL ÷ nearest', ({ kl }) => kl)]));
  const cells = series.flatMap(([name, found]) => [
    [`${name}: objective`, ...found.map(({ objective }) => objective.toFixed(3))],
    [`${name}: KL`, ...found.map(({ kl }) => kl.toFixed(3))],
  ]);
  process.stdout.write(`${formatTable([xTitle, ...ticks.map(({ label }) => label)], cells)}\n\n`);
}

if (isMainThread) {
  main().catch((error: unknown) => {
    process.stderr.write(`curves: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
} else {
  serveRows();
}
