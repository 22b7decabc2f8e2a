/** The webview's end of the message channel, and the state that outlives it while its tab is hidden. */
import type { MessagePort } from '../rpc/port';
import { PAGE_DATA_ID, type ShownFile } from './protocol/editorApi';
import { initialState, readState, type SavedState } from './inventory/savedState';

/** What the report page keeps: by it the page comes back after a reload. */
interface ReportState {
  readonly report: string;
}

/** What the comparison's page keeps. */
interface ComparisonState {
  readonly reference: string;
  readonly other: string;
}

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: SavedState | ReportState | ComparisonState): void;
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

export function saveComparisonState(state: ComparisonState): void {
  api.setState(state);
}

/** The report's and the inventory's pages never share a state, but a state may be of an older version. */
export function savedState(): SavedState {
  return readState(api.getState()) ?? initialState;
}

/** What came with the page. It is of the moment when the page was made: one that was shown before, as its state tells, asks anew. */
export function fileOfPage(): ShownFile | undefined {
  const text = document.getElementById(PAGE_DATA_ID)?.textContent;
  if (text === undefined || api.getState() !== undefined) return undefined;
  api.setState(initialState);
  return JSON.parse(text) as ShownFile;
}
