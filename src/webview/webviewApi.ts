/** The webview's end of the message channel, and the state that outlives it while its tab is hidden. */
import type { MessagePort } from '../rpc/port';
import type { Order } from './protocol/views';

export interface SavedState {
  readonly order: Order;
  readonly scrollTop: number;
  readonly activeTensor?: number;
}

/** What the report page keeps: by it the page comes back after a reload. */
interface ReportState {
  readonly report: string;
}

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: SavedState | ReportState): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const api = acquireVsCodeApi();

export const hostPort: MessagePort = {
  post: (message) => api.postMessage(message),
  onMessage(listener) {
    const receive = (event: MessageEvent<unknown>): void => listener(event.data);
    window.addEventListener('message', receive);
    return { dispose: () => window.removeEventListener('message', receive) };
  },
};

export function saveState(state: SavedState): void {
  api.setState(state);
}

export function saveReportState(report: string): void {
  api.setState({ report });
}

/** Whatever an older version may have saved, the result can be used as it is. */
export function savedState(): SavedState {
  const saved = api.getState();
  if (!isRecord(saved) || !isRecord(saved['order'])) return initialState;
  const { column, direction } = saved['order'];
  if (!isColumn(column) || (direction !== 'ascending' && direction !== 'descending')) return initialState;
  const { scrollTop, activeTensor } = saved;
  return {
    order: { column, direction },
    scrollTop: typeof scrollTop === 'number' && scrollTop >= 0 ? scrollTop : 0,
    ...(typeof activeTensor === 'number' ? { activeTensor } : undefined),
  };
}

const initialState: SavedState = { order: { column: 'name', direction: 'ascending' }, scrollTop: 0 };
const columns: readonly unknown[] = ['file', 'name', 'dtype', 'shape', 'bytes', 'action'] satisfies readonly Order['column'][];

function isColumn(value: unknown): value is Order['column'] {
  return columns.includes(value);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
