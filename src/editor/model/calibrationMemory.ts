/** CalibrationMemory: the calibration file of a recipe as it was read last; read anew where the file, the model or the choice is another one. */
import { EngineError } from '../../engine/errors';
import type { Calibration } from '../../engine/plan/calibration';
import { calibrationOfRecipe } from '../../engine/plan/readCalibrationFile';
import type { Recipe } from '../../engine/plan/recipe';
import { fileIdentity } from '../../engine/safetensors/fileIdentity';
import type { Header } from '../../engine/safetensors/header';

export interface KnownCalibration {
  readonly calibration?: Calibration;
  /** The model can be looked at whatever is wrong with its calibration. */
  readonly problem?: string;
}

export class CalibrationMemory {
  #last: { readonly key: string; readonly model: Header; readonly known: Promise<KnownCalibration> } | undefined;

  async of(recipe: Recipe, model: Header): Promise<KnownCalibration> {
    const key = await keyOf(recipe);
    if (this.#last?.key !== key || this.#last.model !== model) this.#last = { key, model, known: read(recipe, model) };
    return this.#last.known;
  }
}

async function keyOf({ calibration, rounding, statistics }: Recipe): Promise<string> {
  const identity = calibration === null ? undefined : await fileIdentity(calibration);
  // What decides is whether it is needed, not which of the others is chosen.
  const need = rounding !== 'learned' ? 'none' : calibration === null ? statistics : 'file';
  return JSON.stringify([calibration, need, identity]);
}

async function read(recipe: Recipe, model: Header): Promise<KnownCalibration> {
  try {
    return await calibrationOfRecipe(recipe, model);
  } catch (error) {
    return { problem: EngineError.wrap(error).message };
  }
}
