/** PanelSession: answers the panel of one editor, and carries out what it asks for. */
import { mkdir, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import * as vscode from 'vscode';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import { EngineError } from '../../engine/errors';
import { outputForm } from '../../engine/plan/outputForm';
import { defaultOutputPath } from '../../engine/plan/outputPath';
import type { ModelSource } from '../../engine/safetensors/modelSource';
import type {
  FoldChange,
  Options,
  OptionsChange,
  OverrideRequest,
  PanelApi,
  PanelCommand,
  PanelView,
  PlotPoint,
  SectionName,
} from '../../webview/protocol/panelApi';
import type { ModelState } from '../model/modelDocument';
import { isEmpty, withOptions, withOverride } from '../recipe/choices';
import type { ChoiceStore } from '../recipe/choiceStore';
import { loadRecipe, saveRecipe } from '../recipe/recipeDialogs';
import { askForOutput } from './chooseOutput';
import type { ConversionState } from './conversionState';
import type { Devices } from './devices';
import { outputPlace } from './outputPlace';
import { panelView } from './panelView';
import type { Rates } from './rates';
import { typedOutput } from './typedOutput';

export interface PanelServices {
  readonly choices: ChoiceStore;
  readonly devices: Devices;
  readonly rates: Rates;
  /** Whether panels are open, remembered for the next editor. */
  readonly panel: Observable<PanelView['panel']>;
  /** The sections of panels that are folded, remembered likewise. */
  readonly folded: Observable<readonly SectionName[]>;
  readonly conversionOf: (path: string) => ReadonlyObservable<ConversionState>;
}

export interface PanelDocument {
  readonly uri: vscode.Uri;
  readonly state: ReadonlyObservable<ModelState>;
}

const DEVICES_DELAY_MILLISECONDS = 700;

/** The plot need not be newer than eyes are. */
const PLOT_INTERVAL_MILLISECONDS = 400;

export class PanelSession implements PanelApi {
  readonly #path: string;
  /** The last change of options that the page asked for. */
  #answered = 0;

  constructor(
    private readonly document: PanelDocument,
    private readonly services: PanelServices,
  ) {
    this.#path = document.uri.fsPath;
  }

  async *panel(_: undefined, signal: AbortSignal): AsyncGenerator<PanelView, void, undefined> {
    const { choices, devices, panel, conversionOf } = this.services;
    // Another page counts anew.
    this.#answered = 0;
    // Asking takes a process of its own, and the first rows come before it.
    const asking = setTimeout(() => devices.ensure(), DEVICES_DELAY_MILLISECONDS);
    const changes = new Observable(0);
    const change = (): void => {
      changes.value += 1;
    };
    let phase = conversionOf(this.#path).value.phase;
    const subscriptions = [
      this.document.state.onChange(change),
      choices.of(this.#path).onChange(change),
      devices.list.onChange(change),
      panel.onChange(change),
      conversionOf(this.#path).onChange((state) => {
        if (state.phase !== phase) change();
        phase = state.phase;
      }),
    ];
    try {
      const changed = changes.values(signal);
      while ((await changed.next()).done !== true) {
        const view = await this.#view();
        if (view !== undefined) yield view;
      }
    } finally {
      clearTimeout(asking);
      for (const subscription of subscriptions) subscription.dispose();
    }
  }

  async setOptions({ number, patch }: OptionsChange): Promise<void> {
    this.#answered = number;
    await this.#choose(patch);
  }

  async #choose(patch: Partial<Options>): Promise<void> {
    const { output, calibration } = patch;
    const placed = {
      ...patch,
      ...(output === undefined || output === '' ? undefined : { output: typedOutput(output, this.#defaultOutput(), this.#sourceKind()) }),
      ...(calibration === undefined || calibration === '' ? undefined : { calibration: resolve(dirname(this.#path), calibration) }),
    };
    await this.services.choices.change(this.#path, (choices) => withOptions(choices, placed));
  }

  async setOverride(request: OverrideRequest): Promise<string | undefined> {
    try {
      const { overrides } = this.services.choices.wanted(this.document.uri).recipe;
      const state = this.document.state.value;
      const names = 'header' in state ? state.header.tensors.map(({ name }) => name) : [];
      const changed = withOverride(overrides, request, names);
      await this.services.choices.change(this.#path, (choices) => ({ ...choices, recipe: { ...choices.recipe, overrides: changed } }));
      return undefined;
    } catch (error) {
      return EngineError.wrap(error).message;
    }
  }

  async panelCommand(command: PanelCommand): Promise<void> {
    const { choices, panel } = this.services;
    switch (command) {
      case 'open':
      case 'close':
        panel.value = command === 'open' ? 'open' : 'closed';
        return;
      case 'reset':
        await choices.reset(this.#path);
        return;
      case 'resetOverrides':
        await choices.change(this.#path, (before) => ({ ...before, recipe: { ...before.recipe, overrides: [] } }));
        return;
      case 'saveRecipe':
        await saveRecipe(this.#path, choices.wanted(this.document.uri).recipe);
        return;
      case 'loadRecipe': {
        const recipe = await loadRecipe(this.#path);
        if (recipe !== undefined) await choices.change(this.#path, (before) => ({ ...before, recipe }));
        return;
      }
      case 'browseOutput': {
        const output = await this.#browse();
        if (output !== undefined) await this.#choose({ output });
        return;
      }
      case 'createOutputFolder':
        await this.#createOutputFolder();
        return;
      case 'browseCalibration': {
        const calibration = await this.#browseCalibration();
        if (calibration !== undefined) await this.#choose({ calibration });
        return;
      }
    }
  }

  async foldSection({ section, state }: FoldChange): Promise<void> {
    const { folded } = this.services;
    const others = folded.value.filter((name) => name !== section);
    folded.value = state === 'folded' ? [...others, section] : others;
  }

  async *finishedTensors(_: undefined, signal: AbortSignal): AsyncGenerator<readonly PlotPoint[], void, undefined> {
    let shown = -1;
    for await (const state of this.services.conversionOf(this.#path).values(signal)) {
      const points = state.phase === 'running' ? state.finished : [];
      if (points.length === shown) continue;
      shown = points.length;
      yield points;
      await new Promise((resolve) => setTimeout(resolve, PLOT_INTERVAL_MILLISECONDS));
    }
  }

  async #view(): Promise<PanelView | undefined> {
    const state = this.document.state.value;
    if (state.kind !== 'valid') return undefined;
    const { choices, devices, rates, panel } = this.services;
    const wanted = choices.wanted(this.document.uri);
    const answers = this.#answered;
    const defaultPath = this.#defaultOutput();
    const outputPath = wanted.output ?? defaultPath;
    const device = devices.resolve(wanted.device);
    const rate = rates.of(device, wanted.recipe.rounding);
    const lastSweeps = rates.lastSweeps(wanted.recipe.rounding);
    const freeBytes = await freeBytesAt(dirname(outputPath));
    return panelView({
      header: state.header,
      plan: state.plan,
      ...(state.problem === undefined ? undefined : { problem: state.problem }),
      wanted,
      answers,
      outputPath,
      defaultOutputPath: defaultPath,
      outputForm: outputForm(outputPath, { kind: state.sourceKind }, undefined),
      outputPlace: await outputPlace(outputPath, [this.#path, ...state.files]),
      files: state.files.length,
      ...(freeBytes === undefined ? undefined : { freeBytes }),
      devices: devices.list.value,
      device,
      ...(rate === undefined ? undefined : { rate }),
      ...(lastSweeps === undefined ? undefined : { lastSweeps }),
      panel: panel.value,
      folded: this.services.folded.value,
      choices: isEmpty(choices.of(this.#path).value) ? 'none' : 'some',
      cores: availableParallelism(),
    });
  }

  #sourceKind(): ModelSource['kind'] {
    const state = this.document.state.value;
    return 'sourceKind' in state ? state.sourceKind : 'file';
  }

  #defaultOutput(): string {
    return defaultOutputPath(this.#path, this.services.choices.wanted(this.document.uri).recipe, this.#sourceKind());
  }

  async #browse(): Promise<string | undefined> {
    const wanted = this.services.choices.wanted(this.document.uri);
    return askForOutput(wanted.output ?? this.#defaultOutput(), 'Choose');
  }

  async #createOutputFolder(): Promise<void> {
    const { choices } = this.services;
    const folder = dirname(choices.wanted(this.document.uri).output ?? this.#defaultOutput());
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      void vscode.window.showErrorMessage(`The folder ${folder} could not be created: ${EngineError.wrap(error).message}`);
    }
    // Nothing else has changed, and what is shown of the output has.
    await choices.change(this.#path, (before) => ({ ...before }));
  }

  async #browseCalibration(): Promise<string | undefined> {
    const { calibration } = this.services.choices.wanted(this.document.uri).recipe;
    const uris = await vscode.window.showOpenDialog({
      title: 'Choose a Calibration File',
      openLabel: 'Choose',
      defaultUri: vscode.Uri.file(dirname(calibration ?? this.#path)),
      filters: { 'Calibration file or importance matrix': ['safetensors', 'gguf', 'dat'] },
    });
    return uris?.[0]?.fsPath;
  }
}

async function freeBytesAt(folder: string): Promise<number | undefined> {
  const space = await statfs(folder).catch(() => undefined);
  return space === undefined || space.blocks === 0 ? undefined : space.bavail * space.bsize;
}
