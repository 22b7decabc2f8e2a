/** readCalibrationFile: a recipe's calibration file from disk. */
import type { Header } from '../safetensors/header';
import { readHeader } from '../safetensors/reader';
import { readCalibration, type Calibration } from './calibration';
import type { Recipe } from './recipe';

/** What the file says about the model, for makePlan. Throws EngineError where it cannot be used. */
export async function calibrationOfRecipe(
  { calibration: path, rounding }: Pick<Recipe, 'calibration' | 'rounding'>,
  model: Header,
): Promise<{ readonly calibration?: Calibration }> {
  if (path === null || rounding !== 'learned') return {};
  return { calibration: readCalibration(path, await readHeader(path), model) };
}
