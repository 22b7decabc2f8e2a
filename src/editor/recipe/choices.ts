/** Choices: what the user chose for one file, beside the settings. Pure. */
import type { Override } from '../../engine/plan/overrides';
import { defaultRecipe, type PresetName, PRESET_NAMES, type Recipe } from '../../engine/plan/recipe';
import { parseRecipeFile } from '../../engine/plan/recipeFile';
import { parsePattern } from '../../engine/plan/tensorPattern';
import type { Options, OverrideRequest } from '../../webview/protocol/panelApi';
import { overrideSelected } from './selectedTensors';

export interface Choices {
  readonly recipe: Partial<Recipe>;
  readonly device?: string;
  readonly threads?: number;
  readonly output?: string;
}

export const NO_CHOICES: Choices = { recipe: {} };

export function isEmpty({ recipe, ...others }: Choices): boolean {
  return Object.keys(recipe).length === 0 && Object.keys(others).length === 0;
}

/** Whatever an older version may have stored, the result can be used as it is. */
export function parseChoices(stored: unknown): Choices {
  if (typeof stored !== 'object' || stored === null) return NO_CHOICES;
  const { recipe, device, threads, output } = stored as Readonly<Record<string, unknown>>;
  return {
    recipe: readRecipe(recipe),
    ...(typeof device === 'string' ? { device } : undefined),
    ...(typeof threads === 'number' && Number.isInteger(threads) && threads >= 0 ? { threads } : undefined),
    ...(typeof output === 'string' ? { output } : undefined),
  };
}

/** What is given takes the place of what was chosen before. A value that is the default is chosen all the same: it outlives a change of the settings. */
export function withOptions(choices: Choices, patch: Partial<Options>): Choices {
  const { preset, device, threads, output, calibration, ...rest } = patch;
  const recipe: Partial<Recipe> = {
    ...withoutWhatBelongedTo(rest, choices.recipe),
    ...rest,
    ...(calibration === undefined ? undefined : { calibration: calibration === '' ? null : calibration }),
    ...(preset === undefined ? undefined : { presets: presetsOf(preset) }),
  };
  const { output: before, ...others } = choices;
  const named = output ?? before;
  return {
    ...others,
    recipe,
    ...(device === undefined ? undefined : { device }),
    ...(threads === undefined ? undefined : { threads }),
    ...(named === undefined || named === '' ? undefined : { output: named }),
  };
}

/** Each rounding has a rank of its own by default, and only blocks that are asked for have a size. */
function withoutWhatBelongedTo({ rounding, granularity }: Partial<Options>, recipe: Partial<Recipe>): Partial<Recipe> {
  const isLeft = (key: string): boolean =>
    !(key === 'topK' && rounding !== undefined) && !(key === 'blockSize' && granularity !== undefined);
  return Object.fromEntries(Object.entries(recipe).filter(([key]) => isLeft(key)));
}

/** `names`: of the file's tensors. Throws EngineError InvalidRecipe where a pattern cannot be read. */
export function withOverride(
  overrides: readonly Override[],
  { target, action }: OverrideRequest,
  names: readonly string[],
): readonly Override[] {
  if ('names' in target) return overrideSelected(overrides, { names: target.names, action, all: names });
  parsePattern(target.pattern);
  const others = overrides.filter(({ match }) => match !== target.pattern);
  return action === 'reset' ? others : [...others, { match: target.pattern, action }];
}

export function presetsOf(value: string): readonly PresetName[] {
  const names = value.split('+');
  return PRESET_NAMES.filter((name) => names.includes(name));
}

export function presetValue(presets: readonly PresetName[]): string {
  return presets.length === 0 ? 'none' : presets.join('+');
}

export function recipeOf(settings: Partial<Recipe>, choices: Choices): Recipe {
  return defaultRecipe({ ...settings, ...choices.recipe });
}

function readRecipe(stored: unknown): Partial<Recipe> {
  try {
    return parseRecipeFile(JSON.stringify(stored), 'stored');
  } catch {
    return {};
  }
}
