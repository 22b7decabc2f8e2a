/** Converts the sample model with one variant and measures what it has become. */
import type { JobReport, TensorReport } from '../../src/engine/job/report';
import { klDivergence, negativeLogLikelihood } from '../model/divergence';
import type { Matrix } from '../model/matrix';
import { convertModel } from './convert';
import { SAMPLE_MODEL, type TextRow } from './evaluationText';
import type { RowPool } from './rowPool';
import { mean } from './statistics';
import type { Variant } from './variants';

export interface Measurement {
  readonly variant: Variant;
  readonly outputPath: string;
  /** KL(original ‖ converted) in nats a token, for each row. */
  readonly klPerRow: readonly number[];
  /** Nats a byte on the held-out text. */
  readonly loss: number;
  readonly report: JobReport;
}

export interface Original {
  readonly rows: readonly TextRow[];
  /** For each row: tokens × vocabulary. */
  readonly logProbabilities: readonly Matrix[];
  readonly loss: number;
}

export async function measureOriginal(pool: RowPool, rows: readonly TextRow[]): Promise<Original> {
  const logProbabilities = await pool.logProbabilities(SAMPLE_MODEL, rows.map(tokensOf));
  return { rows, logProbabilities, loss: lossOf(logProbabilities, rows) };
}

/** `folder` receives the converted file; `name` is its file name without the extension. */
export async function measureVariant(
  pool: RowPool,
  original: Original,
  variant: Variant,
  target: { readonly folder: string; readonly name: string; readonly device: string },
): Promise<Measurement> {
  const options = [...variant.convertOptions, '--device', target.device];
  const { outputPath, report } = await convertModel(SAMPLE_MODEL, target.folder, target.name, options);
  const converted = await pool.logProbabilities(outputPath, original.rows.map(tokensOf));
  return {
    variant,
    outputPath,
    klPerRow: original.logProbabilities.map((row, index) => klDivergence(row, converted[index]!)),
    loss: lossOf(converted, original.rows),
    report,
  };
}

/** objective ÷ objectiveNearest of every tensor that has both. */
export function objectiveRatios(report: JobReport): readonly { readonly tensor: TensorReport; readonly ratio: number }[] {
  return report.tensors.flatMap((tensor) => {
    const { objective, objectiveNearest } = tensor;
    if (objective === undefined || objectiveNearest === undefined) return [];
    return [{ tensor, ratio: objectiveNearest === 0 ? (objective === 0 ? 1 : Infinity) : objective / objectiveNearest }];
  });
}

function tokensOf(row: TextRow): Uint8Array {
  return row.tokens;
}

function lossOf(logProbabilities: readonly Matrix[], rows: readonly TextRow[]): number {
  return mean(logProbabilities.map((row, index) => negativeLogLikelihood(row, rows[index]!.next)));
}
