/** InventoryApi: what the inventory asks of a file's tensors. Requests of an older revision get empty answers. */
import type { InspectionView, RoundingPreviewView } from './inspection';
import type { Query, RowsReply } from './query';

export interface RowsRequest {
  readonly revision: number;
  readonly query: Query;
  /** Rows `start` ≤ i < `end`; of `rows`, at most `MAX_ROWS_PER_REQUEST`. */
  readonly start: number;
  readonly end: number;
}

export const MAX_ROWS_PER_REQUEST = 512;
/** As many as an answer to a changed query holds. */
export const FIRST_ROWS = 64;

/** Names a row, wherever it stands. */
export type RowKey = { readonly kind: 'tensor'; readonly tensor: number } | { readonly kind: 'group'; readonly path: string };

export interface LocateRequest {
  readonly revision: number;
  readonly query: Query;
  readonly row: RowKey;
}

export interface TensorsRequest {
  readonly revision: number;
  readonly tensors: readonly number[];
}

export interface TensorRequest {
  readonly revision: number;
  readonly tensor: number;
}

export interface ExportRequest {
  readonly revision: number;
  readonly query: Query;
}

export interface SelectionView {
  readonly tensors: number;
  readonly bytes: number;
  readonly parameters: number;
}

export interface InventoryApi {
  /** Fewer rows than asked for where the table ends. */
  rows(request: RowsRequest, signal: AbortSignal): Promise<RowsReply>;
  /** Where a tensor or a group stands, or the collapsed group that a group is in; −1 where the query does not show it. */
  locate(request: LocateRequest, signal: AbortSignal): Promise<number>;
  /** The tensors of any number of rows; a group that is collapsed, or asked for alone, stands for all that is in it. */
  tensors(request: RowsRequest, signal: AbortSignal): Promise<readonly number[]>;
  names(request: TensorsRequest, signal: AbortSignal): Promise<readonly string[]>;
  selection(request: TensorsRequest, signal: AbortSignal): Promise<SelectionView>;
  /** One name a line. */
  copyNames(request: TensorsRequest, signal: AbortSignal): Promise<void>;
  metadataValue(key: string, signal: AbortSignal): Promise<string>;
  /** Asks for the format and the place, then writes the tensors that the query means. */
  exportInventory(request: ExportRequest, signal: AbortSignal): Promise<void>;
  openHex(request: TensorRequest, signal: AbortSignal): Promise<void>;
  /** Computed by the engine; ends with `done` or `failed`. */
  inspect(request: TensorRequest, signal: AbortSignal): AsyncIterable<InspectionView>;
  /** Nearest and learned rounding of one tensor, without writing anything; ends with `done` or `failed`. */
  previewRounding(request: TensorRequest, signal: AbortSignal): AsyncIterable<RoundingPreviewView>;
}
