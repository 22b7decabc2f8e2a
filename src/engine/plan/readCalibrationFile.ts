/** readCalibrationFile: a recipe's calibration file from disk: a .safetensors file, or an importance matrix of llama.cpp. */
import { open } from 'node:fs/promises';
import { BeyondBeginning, isGguf, parseImatrix } from '../imatrix/parseImatrix';
import { EngineError } from '../errors';
import type { Header } from '../safetensors/header';
import { readHeader } from '../safetensors/reader';
import { readCalibration, type Calibration } from './calibration';
import type { Recipe } from './recipe';

const FIRST_READ_BYTES = 2 ** 20;
/** Those of the largest models have some hundred MB. */
const MOST_BYTES = 2 ** 30;

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
  const header = (await isImatrix(path)) ? await readImatrix(path) : await readHeader(path).catch((error: unknown) => refuse(error, path));
  return { calibration: readCalibration(path, header, model) };
}

/** A calibration file is nothing that one downloads: where it is damaged, only collecting helps. */
function refuse(error: unknown, path: string): never {
  const failure = EngineError.wrap(error, { path });
  if (failure.code !== 'InvalidSafetensors') throw failure;
  const told = failure.message.split(/(?<=\.) /).filter((sentence) => !sentence.includes('download'));
  const problem = told.join(' ').replace(/\.$/, '');
  throw new EngineError(
    'InvalidCalibration',
    `${problem}. The calibration file cannot be used: collect it anew.`,
    { path },
    { cause: error },
  );
}

/** No more of it than tells what it is: whoever names a model by mistake should hear so at once. */
async function readImatrix(path: string): Promise<Header> {
  const file = await open(path, 'r').catch((error: unknown) => Promise.reject(EngineError.wrap(error, { path })));
  try {
    const { size } = await file.stat();
    for (let wanted = FIRST_READ_BYTES; ;) {
      const { buffer, bytesRead } = await file.read(new Uint8Array(Math.min(wanted, size)), 0, Math.min(wanted, size), 0);
      try {
        return parseImatrix(buffer.subarray(0, bytesRead), path, size);
      } catch (error) {
        if (!(error instanceof BeyondBeginning)) throw error;
        // Also where the file has become shorter than it was.
        if (error.neededBytes > MOST_BYTES || bytesRead < Math.min(wanted, size)) throw tooLarge(path);
        wanted = Math.min(MOST_BYTES, Math.max(2 * wanted, error.neededBytes));
      }
    }
  } catch (error) {
    throw EngineError.wrap(error, { path });
  } finally {
    await file.close();
  }
}

function tooLarge(path: string): EngineError {
  return new EngineError(
    'InvalidCalibration',
    `${path}: the calibration file cannot be used: it is no importance matrix of a size that one can have. Name the one that llama-imatrix wrote, not the model.`,
    { path },
  );
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
