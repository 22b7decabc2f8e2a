/** When the calibration file of a recipe is read anew, and what is told where it is missing. */
import { rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CalibrationMemory } from '../../../../src/editor/model/calibrationMemory';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';
import { headerOf } from '../../../support/headerOf';
import { writeModel } from '../../../support/modelFile';
import { temporaryFolder } from '../../../support/temporaryFolder';

const MODEL = headerOf({ 'a.weight': ['BF16', 8, 4] });

it('reads a calibration file once for all recipes that go by it, and again when it has changed', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'calibration.safetensors');
  await writeModel(path, [{ name: 'a.input', dtype: 'F32', shape: [3, 4] }]);
  const memory = new CalibrationMemory();
  const first = await memory.of(defaultRecipe({ calibration: path }), MODEL);
  expect(first.calibration?.byWeight.get('a.weight')?.inputs?.samples).toBe(3);
  expect((await memory.of(defaultRecipe({ calibration: path, sides: 'both', topK: 8 }), MODEL)).calibration).toBe(first.calibration);
  expect(await memory.of(defaultRecipe({ calibration: path, rounding: 'nearest' }), MODEL)).toEqual({});
  await utimes(path, 1, 1);
  const again = await memory.of(defaultRecipe({ calibration: path }), MODEL);
  expect(again.calibration).toEqual(first.calibration);
  expect(again.calibration).not.toBe(first.calibration);
  await rm(path);
  expect((await memory.of(defaultRecipe({ calibration: path }), MODEL)).problem).toContain(path);
});

it('tells that real inputs are asked for without a file', async () => {
  const memory = new CalibrationMemory();
  expect((await memory.of(defaultRecipe({ statistics: 'calibrated' }), MODEL)).problem).toMatch(/no calibration file/);
  expect(await memory.of(defaultRecipe(), MODEL)).toEqual({});
});
