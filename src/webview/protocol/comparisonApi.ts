/** ComparisonApi: what the comparison's page shows of two files. The extension host holds the rows; the page holds those on the screen. */

export interface ComparisonView {
  /** Grows with everything that changes rows or their order. */
  readonly revision: number;
  readonly reference: ComparedFile;
  readonly other: ComparedFile;
  readonly phase: ComparisonPhase;
  readonly tensors: number;
  readonly counts: Readonly<Record<CompareStateName, number>>;
}

export interface ComparedFile {
  readonly fileName: string;
  readonly path: string;
}

export type ComparisonPhase =
  | { readonly phase: 'running'; readonly fraction: number; readonly bytesPerSecond: number; readonly remainingSeconds?: number }
  /** Of all tensors together that are quantized in either model, as in the report; where none is, of all that were compared. */
  | { readonly phase: 'done'; readonly relativeError: number; readonly of: 'quantized' | 'all'; readonly seconds: number }
  | { readonly phase: 'failed'; readonly message: string }
  | { readonly phase: 'cancelled' };

export type CompareStateName = 'added' | 'removed' | 'reshaped' | 'changed' | 'equal' | 'incomparable' | 'pending';

export type ComparisonColumn = 'worst' | 'name' | 'dtype' | 'shape' | 'relative' | 'sqnr' | 'largest' | 'state';

/** `worst`: what is missing or of another shape, then by relative error, the largest first. */
export interface ComparisonOrder {
  readonly column: ComparisonColumn;
  readonly direction: 'ascending' | 'descending';
}

export interface ComparisonRowsRequest {
  readonly order: ComparisonOrder;
  readonly search: string;
  /** Rows `start` ≤ i < `end`. */
  readonly start: number;
  readonly end: number;
}

export interface ComparisonRows {
  readonly count: number;
  readonly rows: readonly ComparisonRow[];
  readonly problem?: string;
}

export interface ComparisonRow {
  readonly name: string;
  readonly state: CompareStateName;
  /** E.g. `BF16 → F8_E4M3`. */
  readonly dtypes: string;
  readonly shapes: string;
  readonly relativeError?: number;
  /** Infinity where nothing differs. */
  readonly sqnrDecibels?: number;
  readonly largestError?: number;
  readonly reason?: string;
}

export type ComparisonCommand = 'swap' | 'again' | 'cancel' | 'openReference' | 'openOther' | 'export';

export interface ComparisonApi {
  /** The comparison now and after every change, a few times a second at most. */
  comparison(params: undefined, signal: AbortSignal): AsyncIterable<ComparisonView>;
  comparisonRows(request: ComparisonRowsRequest, signal: AbortSignal): Promise<ComparisonRows>;
  comparisonCommand(command: ComparisonCommand, signal: AbortSignal): Promise<void>;
  copy(text: string, signal: AbortSignal): Promise<void>;
}
