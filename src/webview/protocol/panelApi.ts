/** PanelApi: what the quantization panel shows and what it may change. The extension host keeps the choices; the panel draws them. */
import type { ActionName, ActionTotal } from './views';

/** What the user can choose for one file. */
export interface Options {
  /** `auto`, `none`, or names of presets joined by `+`. */
  readonly preset: string;
  readonly rounding: 'learned' | 'tpec' | 'nearest';
  readonly topK: number | 'full';
  readonly numIter: number;
  readonly calibSamples: number;
  readonly statistics: 'auto' | 'gram' | 'propagated' | 'calibrated';
  readonly sides: 'auto' | 'input' | 'both';
  /** The whole path. Empty stands for none. */
  readonly calibration: string;
  readonly biasCorrection: 'auto' | 'off';
  readonly target: 'float8_e4m3fn' | 'float8_e5m2' | 'int8' | 'mxfp8' | 'nvfp4';
  readonly granularity: 'auto' | 'tensor' | 'row' | 'block';
  /** Rows and columns of a block. */
  readonly blockSize: readonly [number, number];
  readonly layout: 'comfyui' | 'comfyui-legacy' | 'compressed-tensors' | 'huggingface' | 'plain';
  readonly convolutions: 'keep' | 'quantize';
  readonly embeddings: 'keep' | 'quantize';
  readonly quantized: 'keep' | 'requantize';
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
  /** The whole path. Empty stands for the name that is made from the source's. */
  readonly output: string;
}

export type SectionName = 'format' | 'rounding' | 'statistics' | 'tensors' | 'overrides' | 'output';

/** A change that helps: after which the recipe can be carried out, or does more of what was meant. */
export type Remedy =
  /** `calibration`: without a calibration file; `browse`: with one; `statistics`: by what is there. */
  | { readonly kind: 'granularity' | 'rounding' | 'calibration' | 'browse' | 'statistics' }
  /** Codes that are there are rounded anew. */
  | { readonly kind: 'requantize' }
  /** Of the output. */
  | { readonly kind: 'defaultName' | 'browseOutput' | 'createFolder' }
  | { readonly kind: 'layout'; readonly layout: Options['layout'] }
  | { readonly kind: 'target'; readonly target: Options['target'] }
  | { readonly kind: 'block'; readonly edge: number };

/** A sentence about the recipe, and what can be done about it. */
export interface Notice {
  readonly text: string;
  readonly remedies: readonly Remedy[];
}

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface PanelView {
  /** `untold`: nobody chose, and the editor's width decides. */
  readonly panel: 'open' | 'closed' | 'untold';
  readonly folded: readonly SectionName[];
  readonly options: Options;
  /** The last change of the options that they know of; 0 before the page's first. */
  readonly answers: number;
  readonly presets: readonly Choice[];
  /** Whether the source has weights that are quantized already. */
  readonly sourceCodes: 'some' | 'none';
  readonly recognised: { readonly title?: string; readonly evidence: readonly string[] };
  readonly devices: readonly Choice[];
  readonly deviceHelp: string;
  readonly cores: number;
  readonly output: PanelOutput;
  readonly overrides: readonly OverrideView[];
  readonly forecast: ForecastView;
  readonly warnings: readonly Notice[];
  /** Why the recipe cannot be carried out as it is. */
  readonly problem?: Notice;
  /** Why nothing can be written where the output is to be. */
  readonly outputProblem?: Notice;
  /** E.g. `On the last model 5 sweeps ran.` */
  readonly lastSweeps?: string;
  /** Whether anything differs from the settings. */
  readonly choices: 'none' | 'some';
}

export interface PanelOutput {
  readonly fileName: string;
  readonly directory: string;
  /** Empty where it is one file. */
  readonly form: string;
  /** As the field reads it: the name alone where it is beside the default. */
  readonly text: string;
  /** Of what is written where nothing is chosen. */
  readonly defaultName: string;
}

export interface OverrideView {
  readonly match: string;
  /** Whether it is the name of a tensor. */
  readonly kind: 'name' | 'pattern';
  readonly action: ActionName;
  /** How many tensors it decides for. */
  readonly tensors: number;
}

/** What pressing Convert would come to. */
export interface ForecastView {
  /** What weights become, e.g. `FP8`. */
  readonly becomes: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes in the output. */
  readonly actions: Readonly<Record<ActionName, ActionTotal>>;
  readonly seconds: number;
  /** `measured`: from the last conversion on this device. */
  readonly basis: 'measured' | 'assumed';
  readonly memoryBytes: number;
  /** Left on the disk of the output now, where the file system tells. */
  readonly freeBytes?: number;
}

export interface OverrideRequest {
  readonly target: { readonly names: readonly string[] } | { readonly pattern: string };
  readonly action: ActionName | 'reset';
}

/** Each opens a dialog of the editor, or changes everything at once. */
export type PanelCommand =
  'browseOutput' | 'createOutputFolder' | 'browseCalibration' | 'saveRecipe' | 'loadRecipe' | 'reset' | 'resetOverrides' | 'open' | 'close';

export interface FoldChange {
  readonly section: SectionName;
  readonly state: 'open' | 'folded';
}

/** `number` grows with every change that a page asks for, from 1. */
export interface OptionsChange {
  readonly number: number;
  readonly patch: Partial<Options>;
}

export interface PanelApi {
  /** The panel now, and after every change of the file, the choices, the devices or the disk. */
  panel(params: undefined, signal: AbortSignal): AsyncIterable<PanelView>;
  setOptions(change: OptionsChange, signal: AbortSignal): Promise<void>;
  /** Resolves with a sentence where the pattern cannot be used. */
  setOverride(request: OverrideRequest, signal: AbortSignal): Promise<string | undefined>;
  panelCommand(command: PanelCommand, signal: AbortSignal): Promise<void>;
  /** Remembers it for the next panel. */
  foldSection(change: FoldChange, signal: AbortSignal): Promise<void>;
  /** Objective as a share of what nearest rounding reaches, for each tensor finished so far, in the order they finished. */
  finishedTensors(params: undefined, signal: AbortSignal): AsyncIterable<readonly PlotPoint[]>;
}

export interface PlotPoint {
  readonly name: string;
  readonly value: number;
}
