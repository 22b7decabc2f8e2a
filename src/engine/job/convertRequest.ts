/** ConvertRequest: everything that one conversion is asked for. */
import { readCalibration, type Calibration } from '../plan/calibration';
import type { Recipe } from '../plan/recipe';
import type { Header } from '../safetensors/header';
import { readHeader } from '../safetensors/reader';

export interface ConvertRequest {
  readonly source: string;
  readonly output: string;
  readonly recipe: Recipe;
  /** `auto`, `cpu`, `cuda`, `cuda:0`, … */
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
  /** Whether an existing output, and an existing report, may be replaced. */
  readonly overwrite: 'refuse' | 'replace';
  /** Where the report goes as JSON; without it the report is only in the stream. */
  readonly reportPath?: string;
  /** A calibration file for the source (docs/calibration.md). */
  readonly calibration?: string;
}

/** What the request's calibration file says about the model. Throws EngineError where it cannot be used. */
export async function calibrationOfRequest(
  { calibration: path }: Pick<ConvertRequest, 'calibration'>,
  model: Header,
): Promise<{ readonly calibration?: Calibration }> {
  return path === undefined ? {} : { calibration: readCalibration(path, await readHeader(path), model) };
}
