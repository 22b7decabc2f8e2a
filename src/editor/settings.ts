/** The settings under `fp8.`, read into a recipe and where to run it. */
import * as vscode from 'vscode';
import { GRANULARITIES, TARGETS } from '../engine/plan/encoding';
import { CONVOLUTIONS, defaultRecipe, LAYOUTS, ROUNDINGS, type Recipe } from '../engine/plan/recipe';

export interface Settings {
  /** What the settings say of it, and nothing else. */
  readonly recipe: Partial<Recipe>;
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
}

/** Whatever a settings.json holds, the result can be used as it is. */
export function readSettings(scope: vscode.Uri | undefined): Settings {
  const settings = vscode.workspace.getConfiguration('fp8', scope);
  const defaults = defaultRecipe();
  const device = settings.get<unknown>('device');
  return {
    recipe: {
      rounding: oneOf(ROUNDINGS, settings.get('rounding'), defaults.rounding),
      target: oneOf(TARGETS, settings.get('target'), defaults.target),
      granularity: oneOf(GRANULARITIES, settings.get('granularity'), defaults.granularity),
      layout: oneOf(LAYOUTS, settings.get('layout'), defaults.layout),
      convolutions: oneOf(CONVOLUTIONS, settings.get('convolutions'), defaults.convolutions),
      numIter: wholeNumber(settings.get('iterations'), { least: 1, otherwise: defaults.numIter }),
    },
    device: typeof device === 'string' && device.trim() !== '' ? device.trim() : 'auto',
    threads: wholeNumber(settings.get('threads'), { least: 0, otherwise: 0 }),
  };
}

function oneOf<T extends string>(values: readonly T[], found: unknown, otherwise: T): T {
  return values.find((value) => value === found) ?? otherwise;
}

function wholeNumber(found: unknown, { least, otherwise }: { readonly least: number; readonly otherwise: number }): number {
  return typeof found === 'number' && Number.isInteger(found) && found >= least ? found : otherwise;
}
