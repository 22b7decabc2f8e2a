/** readCalibrationFile: a recipe's calibration file from disk: a .safetensors file, or an importance matrix of llama.cpp. */
import { open, readFile } from 'node:fs/promises';
import { isGguf, parseImatrix } from '../imatrix/parseImatrix';
import { EngineError } from '../errors';
import type { Header } from '../safetensors/header';
import { readHeader } from '../safetensors/reader';
import { readCalibration, type Calibration } from './calibration';
import type { Recipe } from './recipe';

/** What the file says about the model, for makePlan. Throws EngineError where it cannot be used. */
export async function calibrationOfRecipe(
  { calibration: path, rounding, statistics }: Pick<Recipe, 'calibration' | 'rounding' | 'statistics'>,
  model: Header,
): Promise<{ readonly calibration?: Calibration }> {
  if (rounding !== 'learned') return {};
  if (path === null) {
    if (statistics !== 'calibrated') return {};
    throw new EngineError(
      'InvalidRecipe',
      'The statistics are to be calibrated, and no calibration file is given. Choose one, or the statistics auto.',
    );
  }
  const header = (await isImatrix(path)) ? parseImatrix(await readFile(path), path) : await readHeader(path);
  return { calibration: readCalibration(path, header, model) };
}

/** What cannot be read is no importance matrix; reading its header says better what is wrong with it. */
async function isImatrix(path: string): Promise<boolean> {
  if (/\.dat$/i.test(path)) return true;
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(new Uint8Array(4), 0, 4, 0);
    return isGguf(buffer.subarray(0, bytesRead));
  } catch {
    return false;
  } finally {
    await file.close();
  }
}
