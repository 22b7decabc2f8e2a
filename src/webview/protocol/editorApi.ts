/** EditorApi: everything the webview may ask of the extension host. */
import type { PanelApi } from './panelApi';
import type { ConversionView, FileView, Order, RowView } from './views';

export interface RowsRequest {
  readonly revision: number;
  readonly order: Order;
  /** Rows `start` ≤ i < `end`, at most `MAX_ROWS_PER_REQUEST`. */
  readonly start: number;
  readonly end: number;
}

export interface LocateRequest {
  readonly revision: number;
  readonly order: Order;
  readonly tensor: number;
}

/** What can be asked for about the file or its conversion; each is a command of the editor. */
export type Intent = 'openOutput' | 'revealOutput' | 'showReport' | 'showLog' | 'reopenWith' | 'openAsText' | 'reload' | 'openSettings';

export const MAX_ROWS_PER_REQUEST = 512;

export interface EditorApi extends PanelApi {
  /** The file now and after every change on disk or of the settings. */
  file(params: undefined, signal: AbortSignal): AsyncIterable<FileView>;
  /** This file's conversion, whoever started it. */
  conversion(params: undefined, signal: AbortSignal): AsyncIterable<ConversionView>;
  /** Fewer rows than asked for where the table ends; none of an older revision. */
  rows(request: RowsRequest, signal: AbortSignal): Promise<readonly RowView[]>;
  /** Where a tensor stands in an order. */
  locate(request: LocateRequest, signal: AbortSignal): Promise<number>;
  convert(params: undefined, signal: AbortSignal): Promise<void>;
  cancelConversion(params: undefined, signal: AbortSignal): Promise<void>;
  perform(intent: Intent, signal: AbortSignal): Promise<void>;
  copy(text: string, signal: AbortSignal): Promise<void>;
  /** The webview has drawn the file: the first rows are on the screen. */
  drawn(params: undefined, signal: AbortSignal): Promise<void>;
}
