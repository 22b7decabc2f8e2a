/** Quality benchmark: what rounding does to a real model's predictions. Runs the model itself, before and after conversion. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { checkForwardPass, checkNearest, checkObjectives, checkRatio, type Check } from './quality/checks';
import { readEvaluationText } from './quality/evaluationText';
import { measureOriginal, measureVariant, objectiveRatios, type Measurement } from './quality/measure';
import { parseOptions, USAGE, type Options } from './quality/options';
import { RowPool, serveRows } from './quality/rowPool';
import { mean, ratioOfMeans } from './quality/statistics';
import { formatTable } from './quality/table';
import { NEAREST } from './quality/variants';

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    print(USAGE);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'fp8-quality-'));
  // Node was given this bundle; the workers run it as well.
  const pool = new RowPool(process.argv[1]!, options.threads);
  try {
    await compare(options, pool, folder);
  } finally {
    await pool.dispose();
    await rm(folder, { recursive: true });
  }
}

async function compare(options: Options, pool: RowPool, folder: string): Promise<void> {
  const rows = (await readEvaluationText()).slice(0, options.rows);
  const checks: Check[] = [await checkForwardPass(rows)];
  const original = await measureOriginal(pool, rows);
  const tokens = rows.reduce((sum, row) => sum + row.tokens.length, 0);
  print(`KL(original ‖ converted) over ${rows.length} rows, ${tokens.toLocaleString('en-US')} tokens of held-out text,`);
  print(
    `on which the original loses ${original.loss.toFixed(5)} nats a byte. ${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores.\n`,
  );

  const measurements: Measurement[] = [];
  for (const [index, variant] of options.variants.entries()) {
    process.stderr.write(`${variant.name} …\n`);
    measurements.push(await measureVariant(pool, original, variant, { folder, name: String(index), device: options.device }));
  }
  const nearest = measurements.find(({ variant }) => variant === NEAREST)!;
  print(`${tableOf(measurements, nearest, original.loss)}\n`);

  checks.push(await checkNearest(nearest));
  for (const measurement of measurements) {
    const { largestRatio } = measurement.variant;
    if (largestRatio !== undefined) checks.push(checkRatio(measurement, nearest, largestRatio));
    // The reference optimiser is kept as it is, also where it is worse than nearest.
    if (measurement.report.recipe.rounding === 'learned') checks.push(checkObjectives(measurement));
  }
  for (const check of checks) print(`${check.kept ? 'kept  ' : 'BROKEN'} ${check.promise} (${check.found})`);
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify({ loss: original.loss, measurements, checks }, null, 2)}\n`);
  if (checks.some((check) => !check.kept)) process.exitCode = 1;
}

function tableOf(measurements: readonly Measurement[], nearest: Measurement, originalLoss: number): string {
  const head = ['rounding', 'KL', '÷ nearest', '±', 'loss added', 'objective ÷ nearest', 'worst tensor', 'weight error', 'seconds'];
  const rows = measurements.map(({ variant, klPerRow, loss, report }) => {
    const ratio = ratioOfMeans(klPerRow, nearest.klPerRow);
    const ratios = objectiveRatios(report).map((entry) => entry.ratio);
    return [
      variant.name,
      mean(klPerRow).toExponential(3),
      ratio.value.toFixed(3),
      ratio.standardError.toFixed(3),
      (loss - originalLoss).toExponential(1),
      report.summary.objectiveRatio?.toFixed(3) ?? '–',
      ratios.length === 0 ? '–' : Math.max(...ratios).toFixed(3),
      `${(100 * report.summary.relativeError).toFixed(2)} %`,
      report.summary.seconds.convert.toFixed(2),
    ];
  });
  return formatTable(head, rows);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (isMainThread) {
  main().catch((error: unknown) => {
    process.stderr.write(`quality: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
} else {
  serveRows();
}
