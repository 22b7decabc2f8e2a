/** What the editor shows, as plain values: the extension host makes them, the webview draws them and decides nothing. */

export type ActionName = 'quantize' | 'keep' | 'remove';

/** What decided on a tensor's action. */
export type Decider = 'override' | 'rules';

export type FileView = InventoryView | InvalidFileView;

export interface InventoryView {
  readonly kind: 'inventory';
  /** Grows with every change of the file or the plan; rows belong to one revision. */
  readonly revision: number;
  /** Grows with every reading of the file: what is known of the values of its tensors belongs to one of them. */
  readonly reading: number;
  readonly fileName: string;
  readonly directory: string;
  readonly fileSize: number;
  /** Packed values count as what they stand for, scales and markers not at all. */
  readonly parameters: number;
  readonly tensorCount: number;
  /** More than one where the model is in shards. */
  readonly fileCount: number;
  readonly architecture?: ArchitectureView;
  /** In the order of the file. */
  readonly metadata: readonly MetadataEntry[];
  /** Most bytes first. */
  readonly dtypes: readonly DtypeShare[];
  readonly ranks: readonly FacetShare<number>[];
  readonly sizes: readonly FacetShare<string>[];
  /** Absent while the plan is being made, as is the output. */
  readonly actions?: Readonly<Record<ActionName, ActionTotal>>;
  /** For how many tensors overrides decide; known with the actions. */
  readonly overridden?: number;
  readonly output?: OutputView;
  readonly warnings: readonly string[];
}

export interface ArchitectureView {
  /** E.g. `FLUX.1 dev`; with what else the file holds. */
  readonly title: string;
  readonly parts: readonly { readonly title: string; readonly detail: string; readonly evidence: readonly string[] }[];
}

export interface MetadataEntry {
  readonly key: string;
  /** The value, or its beginning. */
  readonly preview: string;
  readonly length: number;
  readonly kind: 'text' | 'json';
}

/** How many tensors a filter's choice means. */
export interface FacetShare<T> {
  readonly value: T;
  readonly tensors: number;
}

export interface DtypeShare {
  readonly dtype: string;
  readonly tensors: number;
  readonly bytes: number;
}

export interface ActionTotal {
  readonly tensors: number;
  readonly bytes: number;
}

/** What pressing Convert will write. */
export interface OutputView {
  readonly fileName: string;
  readonly directory: string;
  readonly fileSize: number;
  /** In a few words, e.g. `Learned rounding · ComfyUI layout`. */
  readonly recipe: string;
  /** What weights become, e.g. `FP8`. */
  readonly becomes: string;
  /** Why the recipe cannot be carried out as it is: the sizes are then of another one. */
  readonly problem?: string;
}

export interface InvalidFileView {
  readonly kind: 'invalid';
  readonly revision: number;
  readonly fileName: string;
  readonly directory: string;
  /** One line: what is the matter with this file. */
  readonly title: string;
  readonly message: string;
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  /** Whether there are bytes to look at in another editor. */
  readonly reopen: 'possible' | 'impossible';
}

/** Of a conversion before this one, of the model or to it: when its report was made, in words. */
interface LastReport {
  readonly lastReport?: string;
}

export type ConversionView =
  | ({ readonly phase: 'idle' } & LastReport)
  /** Waits for another conversion to end. */
  | { readonly phase: 'queued'; readonly outputName: string }
  | { readonly phase: 'running'; readonly outputName: string; readonly progress?: ProgressView }
  | {
      readonly phase: 'done';
      readonly outputName: string;
      readonly bytesIn: number;
      readonly bytesOut: number;
      readonly seconds: number;
      readonly relativeError: number;
      /** Objective of what was written as a share of what nearest rounding reaches. */
      readonly objectiveRatio?: number;
    }
  | ({ readonly phase: 'failed'; readonly message: string } & LastReport)
  | ({ readonly phase: 'cancelled' } & LastReport)
  /** Cut off when the window closed or reloaded; `leftBehind` are files that could not be removed. */
  | ({ readonly phase: 'interrupted'; readonly outputName: string; readonly leftBehind: readonly string[] } & LastReport);

export interface ProgressView {
  /** 0–1. */
  readonly fraction: number;
  readonly bytesPerSecond: number;
  readonly remainingSeconds?: number;
  readonly tensorsDone: number;
  readonly tensorsTotal: number;
  /** Names of the tensors being worked on. */
  readonly current: readonly string[];
}

export type SortColumn = 'file' | 'name' | 'dtype' | 'shape' | 'bytes' | 'action';

/** `file` is the order of the data in the file. */
export interface Order {
  readonly column: SortColumn;
  readonly direction: 'ascending' | 'descending';
}

export interface RowView {
  /** Position in the file's order: names the tensor within a revision. */
  readonly tensor: number;
  readonly name: string;
  readonly dtype: string;
  /** For people, e.g. `4096 × 11008`. */
  readonly shape: string;
  readonly bytes: number;
  /** The name of its file, of a model that has several. */
  readonly shard?: string;
  /** Absent while the plan is being made. */
  readonly action?: ActionName;
  /** Known with the action. */
  readonly decider?: Decider;
  readonly reason: string;
  /** Which statistics steer its rounding, and why; only of learned rounding. */
  readonly steering?: string;
  /** Absent where the tensor keeps its dtype or is removed. */
  readonly targetDtype?: string;
}
