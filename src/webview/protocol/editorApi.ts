/** EditorApi: everything the webview may ask of the extension host. */
import type { InventoryApi } from './inventoryApi';
import type { Query, RowsReply } from './query';
import type { PanelApi } from './panelApi';
import type { ConversionView, FileView } from './views';

/** What can be asked for about the file or its conversion; each is a command of the editor. */
export type Intent = 'openOutput' | 'revealOutput' | 'showReport' | 'showLog' | 'reopenWith' | 'openAsText' | 'reload' | 'openSettings';

export interface ShownFile {
  readonly view: FileView;
  /** The first rows, where the page has none yet: they need no request of their own. */
  readonly first?: RowsReply;
}

/** The element of the page that holds a ShownFile as JSON, where the file was read before the page was made. It answers INITIAL_QUERY. */
export const PAGE_DATA_ID = 'first-file';

export interface FileRequest {
  readonly query: Query;
  /** The revision that came with the page: it is not told again. */
  readonly known?: number;
}

export interface EditorApi extends PanelApi, InventoryApi {
  /** The file now and after every change on disk or of the settings; the first time with the rows that answer `query`. */
  file(request: FileRequest, signal: AbortSignal): AsyncIterable<ShownFile>;
  /** This file's conversion, whoever started it. */
  conversion(params: undefined, signal: AbortSignal): AsyncIterable<ConversionView>;
  convert(params: undefined, signal: AbortSignal): Promise<void>;
  cancelConversion(params: undefined, signal: AbortSignal): Promise<void>;
  perform(intent: Intent, signal: AbortSignal): Promise<void>;
  copy(text: string, signal: AbortSignal): Promise<void>;
  /** The webview has drawn the file: the first rows are on the screen. */
  drawn(params: undefined, signal: AbortSignal): Promise<void>;
}
