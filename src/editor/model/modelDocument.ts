/** ModelDocument: one safetensors file as the editor knows it, its header and the plan for it, never its data. Follows the file on disk. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { Disposable } from '../../base/disposable';
import { DisposableStore } from '../../base/disposableStore';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import { inTurns } from '../../base/slices';
import { version } from '../../base/version';
import { EngineError } from '../../engine/errors';
import { planInSlices, type PlanOptions } from '../../engine/plan/makePlan';
import type { Plan } from '../../engine/plan/plan';
import type { DeviceKind } from '../../engine/plan/statistics';
import { sourceForRecipe } from '../../engine/plan/stored/sourceForRecipe';
import type { Header } from '../../engine/safetensors/header';
import { readModelSource, type ModelSource } from '../../engine/safetensors/modelSource';
import { defaultRecipe, type Recipe } from '../../engine/plan/recipe';
import { CalibrationMemory, type KnownCalibration } from './calibrationMemory';

/** What the user wants of a file, which may change. */
export interface RecipeSource {
  recipeOf(uri: vscode.Uri): Recipe;
  /** Which kind of device shall do it, as far as that is known. */
  deviceOf(uri: vscode.Uri): DeviceKind;
  onChange(uri: vscode.Uri, listener: () => void): Disposable;
}

export type ModelState = { readonly kind: 'reading'; readonly revision: 0 } | KnownState;

/** Why a recipe cannot be carried out: by itself, or for its calibration file. */
export interface RecipeProblem {
  readonly about: 'recipe' | 'calibration';
  readonly recipe: Recipe;
  readonly message: string;
}

interface ReadModel {
  readonly revision: number;
  /** Grows with every reading of the file that was not for another recipe: what is known of its values belongs to one of them. */
  readonly reading: number;
  readonly header: Header;
  /** Whether the file is the whole model, or stands for its shards. */
  readonly sourceKind: ModelSource['kind'];
  /** The paths of its files, which TensorInfo.file counts. */
  readonly files: readonly string[];
}

/** `listed`: the file is read, and the plan for it is still to be made. */
export type KnownState =
  | ({ readonly kind: 'listed' } & ReadModel)
  | ({ readonly kind: 'valid'; readonly plan: Plan; readonly problem?: RecipeProblem } & ReadModel)
  | { readonly kind: 'invalid'; readonly revision: number; readonly error: EngineError };

/** What is shown as soon as it is known: of a long file the rows, before the plan. */
type Urgent = 'rows' | 'plan';

/** A program that writes a file changes it many times in a row. */
const SETTLE_MILLISECONDS = 250;

/** Planning more tensors takes longer than people like to wait for the first rows, so those come first. */
const TENSORS_PLANNED_AT_ONCE = 2000;
/** The plan is made without a page that has drawn, too. */
const PLANNING_DELAY_MILLISECONDS = 10_000;

export class ModelDocument implements vscode.CustomDocument {
  readonly #owned = new DisposableStore();
  readonly #state = new Observable<ModelState>({ kind: 'reading', revision: 0 });
  readonly #calibrations = new CalibrationMemory();
  #reading = 0;
  #settling: NodeJS.Timeout | undefined;
  #planning: NodeJS.Timeout | undefined;
  /** What is going on now: a reading of the file, or another plan for what was read. The one that began last knows best. */
  #work: { readonly kind: 'reading' | 'planning' | 'done'; readonly abort: AbortController; readonly end: Promise<void> } | undefined;

  constructor(
    readonly uri: vscode.Uri,
    private readonly recipes: RecipeSource,
  ) {
    this.#owned.add(
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration('fp8', uri)) void this.reload();
      }),
    );
    this.#owned.add(recipes.onChange(uri, () => void this.#replan()));
    if (uri.scheme !== 'file') return;
    const watcher = this.#owned.add(
      vscode.workspace.createFileSystemWatcher(
        new vscode.RelativePattern(vscode.Uri.joinPath(uri, '..'), globLiteral(basename(uri.fsPath))),
      ),
    );
    for (const event of [watcher.onDidChange, watcher.onDidCreate, watcher.onDidDelete]) this.#owned.add(event(() => this.#settle()));
  }

  get state(): ReadonlyObservable<ModelState> {
    return this.#state;
  }

  /** Reads the file unless that has begun. The page that will show it starts meanwhile. */
  read(): void {
    if (this.#work === undefined) void this.reload();
  }

  reload(): Promise<void> {
    this.#reading += 1;
    // A page that shows rows keeps them until there are others with their plan.
    return this.#read(this.#state.value.kind === 'valid' ? 'plan' : 'rows');
  }

  /** Makes the plan, where that was put off. */
  async plan(): Promise<void> {
    clearTimeout(this.#planning);
    if (this.#state.value.kind !== 'listed') return;
    await (this.#work?.kind === 'planning' ? this.#work.end : this.#replan());
  }

  dispose(): void {
    clearTimeout(this.#settling);
    clearTimeout(this.#planning);
    this.#work?.abort.abort();
    this.#owned.dispose();
  }

  async #read(urgent: Urgent): Promise<void> {
    const wanted = { recipe: this.recipes.recipeOf(this.uri), device: this.recipes.deviceOf(this.uri) };
    await this.#become('reading', (revision, signal) =>
      readModel(this.uri, wanted, this.#calibrations, { revision, reading: this.#reading, urgent, signal }),
    );
    clearTimeout(this.#planning);
    if (this.#state.value.kind === 'listed') this.#planning = setTimeout(() => void this.plan(), PLANNING_DELAY_MILLISECONDS);
  }

  /** The file is as it was: only what happens to it changes. */
  async #replan(): Promise<void> {
    const state = this.#state.value;
    const recipe = this.recipes.recipeOf(this.uri);
    const device = this.recipes.deviceOf(this.uri);
    if (this.#work?.kind === 'reading') {
      await this.reload();
      return;
    }
    if (state.kind !== 'valid' && state.kind !== 'listed') return;
    // What describes codes is not in the header.
    if (recipe.quantized !== 'keep') {
      await this.#read('plan');
      return;
    }
    const { header, files, sourceKind, reading } = state;
    await this.#become('planning', async (revision, signal) => {
      try {
        const known = { device, ...(await this.#calibrations.of(recipe, header)) };
        return { kind: 'valid', revision, reading, header, files, sourceKind, ...(await planned(header, recipe, known, signal)) };
      } catch (error) {
        return { kind: 'invalid', revision, error: EngineError.wrap(error, { path: this.uri.fsPath }) };
      }
    });
  }

  #become(kind: 'reading' | 'planning', make: (revision: number, signal: AbortSignal) => Promise<KnownState>): Promise<void> {
    this.#work?.abort.abort();
    const abort = new AbortController();
    const end = make(this.#state.value.revision + 1, abort.signal).then((state) => {
      if (abort.signal.aborted) return;
      this.#work = { kind: 'done', abort, end };
      if (!isSameProblem(this.#state.value, state)) this.#state.value = state;
    });
    this.#work = { kind, abort, end };
    return end;
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => void this.reload(), SETTLE_MILLISECONDS);
  }
}

async function readModel(
  uri: vscode.Uri,
  { recipe, device }: { readonly recipe: Recipe; readonly device: DeviceKind },
  calibrations: CalibrationMemory,
  {
    revision,
    reading,
    urgent,
    signal,
  }: { readonly revision: number; readonly reading: number; readonly urgent: Urgent; readonly signal: AbortSignal },
): Promise<KnownState> {
  try {
    if (uri.scheme !== 'file') {
      throw new EngineError(
        'NotAFile',
        `This file is not on a disk of this machine (${uri.scheme}:). Save it to a folder, then open it there.`,
      );
    }
    const source = await readModelSource(uri.fsPath);
    const { header, files, kind: sourceKind } = source;
    if (urgent === 'rows' && header.tensors.length > TENSORS_PLANNED_AT_ONCE)
      return { kind: 'listed', revision, reading, header, files, sourceKind };
    const { source: asRead, stored } = await sourceForRecipe(source, recipe);
    const known = { device, ...(await calibrations.of(recipe, asRead.header)), ...(stored === undefined ? {} : { stored }) };
    return { kind: 'valid', revision, reading, header, files, sourceKind, ...(await planned(asRead.header, recipe, known, signal)) };
  } catch (error) {
    return { kind: 'invalid', revision, error: EngineError.wrap(error, { path: uri.fsPath }) };
  }
}

/**
 * A recipe that the file does not allow is told beside the plan of one that it does: the file can still be looked at, and the recipe changed.
 * In turns with the requests of the pages: nobody who types or scrolls waits for it.
 */
async function planned(
  header: Header,
  recipe: Recipe,
  { stored, device, calibration, problem }: Pick<PlanOptions, 'stored'> & { readonly device: DeviceKind } & KnownCalibration,
  signal: AbortSignal,
): Promise<{ readonly plan: Plan; readonly problem?: RecipeProblem }> {
  const options = { toolVersion: version, device, ...(stored === undefined ? {} : { stored }) };
  try {
    const plan = await inTurns(planInSlices(header, recipe, { ...options, ...(calibration === undefined ? {} : { calibration }) }), signal);
    return { plan, ...(problem === undefined ? {} : { problem: { about: 'calibration', recipe, message: problem } }) };
  } catch (error) {
    const { code, message } = EngineError.wrap(error);
    if (code !== 'InvalidRecipe') throw error;
    const { rounding, topK, numIter } = recipe;
    const allowed = defaultRecipe({ rounding, topK, numIter, presets: [] });
    return { plan: await inTurns(planInSlices(header, allowed, options), signal), problem: { about: 'recipe', recipe, message } };
  }
}

/** What is as wrong as before need not be told again. */
function isSameProblem(before: ModelState, after: ModelState): boolean {
  if (before.kind !== 'invalid' || after.kind !== 'invalid') return false;
  return before.error.code === after.error.code && before.error.message === after.error.message;
}

/** A glob that matches this name alone. */
function globLiteral(name: string): string {
  return name.replace(/[[\]{}*?]/g, '[$&]');
}
