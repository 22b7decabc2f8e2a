/** EditorSession: answers one webview with what its document and its conversion are. */
import * as vscode from 'vscode';
import type { EditorApi, FileRequest, Intent, ShownFile } from '../webview/protocol/editorApi';
import type { InspectionView, RoundingPreviewView } from '../webview/protocol/inspection';
import type {
  ExportRequest,
  LocateRequest,
  RowsRequest,
  SelectionView,
  TensorRequest,
  TensorsRequest,
} from '../webview/protocol/inventoryApi';
import { INITIAL_QUERY, type Query, type RowsReply } from '../webview/protocol/query';
import type { ConversionView, FileView } from '../webview/protocol/views';
import type { FoldChange, OptionsChange, OverrideRequest, PanelCommand, PanelView, PlotPoint } from '../webview/protocol/panelApi';
import { conversionView } from './conversion/conversionView';
import type { ConversionState } from './conversion/conversionState';
import { outputPlace } from './conversion/outputPlace';
import { outputProblem } from './conversion/outputProblem';
import { PanelSession, type PanelServices } from './conversion/panelSession';
import { changes, type ReadonlyObservable } from '../base/observable';
import { fileView } from './model/fileView';
import { InventorySession, type InventoryServices } from './model/inventorySession';
import type { KnownState, ModelDocument, ModelState } from './model/modelDocument';
import { finishedText, tellsOf } from './report/reportEntry';
import type { Reports } from './report/reports';

/** What a session asks of the rest of the editor. */
export interface SessionServices {
  readonly panel: PanelServices;
  readonly inventory: InventoryServices;
  conversionOf(path: string): ReadonlyObservable<ConversionState>;
  readonly reports: Pick<Reports, 'list' | 'stored'>;
  convert(uri: vscode.Uri): Promise<void>;
  cancel(path: string): void;
  perform(uri: vscode.Uri, intent: Exclude<Intent, 'reload'>): Promise<void>;
  drawn(file: DrawnFile): void;
}

export interface DrawnFile {
  readonly uri: vscode.Uri;
  readonly state: ModelState;
}

export class EditorSession implements EditorApi {
  readonly #inventory: InventorySession;
  readonly #panel: PanelSession;

  constructor(
    private readonly document: ModelDocument,
    private readonly services: SessionServices,
  ) {
    this.#panel = new PanelSession(document, services.panel);
    this.#inventory = new InventorySession(document, services.inventory);
  }

  panel(_: undefined, signal: AbortSignal): AsyncIterable<PanelView> {
    return this.#panel.panel(undefined, signal);
  }

  finishedTensors(_: undefined, signal: AbortSignal): AsyncIterable<readonly PlotPoint[]> {
    return this.#panel.finishedTensors(undefined, signal);
  }

  setOptions(change: OptionsChange): Promise<void> {
    return this.#panel.setOptions(change);
  }

  setOverride(request: OverrideRequest): Promise<string | undefined> {
    return this.#panel.setOverride(request);
  }

  panelCommand(command: PanelCommand): Promise<void> {
    return this.#panel.panelCommand(command);
  }

  foldSection(change: FoldChange): Promise<void> {
    return this.#panel.foldSection(change);
  }

  /** What a new page shows, once it is known; `undefined` where the signal aborts before. */
  async firstFile(signal: AbortSignal): Promise<ShownFile | undefined> {
    for await (const state of this.document.state.values(signal)) {
      if (state.kind !== 'reading') return this.#withRows(state, INITIAL_QUERY);
    }
    return undefined;
  }

  async *file({ query, known }: FileRequest, signal: AbortSignal): AsyncGenerator<ShownFile, void, undefined> {
    let hasRows = known !== undefined;
    for await (const state of this.document.state.values(signal)) {
      if (state.kind === 'reading' || state.revision === known) continue;
      yield hasRows ? { view: await this.#fileView(state) } : await this.#withRows(state, query);
      hasRows = true;
    }
  }

  async *conversion(_: undefined, signal: AbortSignal): AsyncGenerator<ConversionView, void, undefined> {
    const { fsPath } = this.document.uri;
    const { reports } = this.services;
    const conversion = this.services.conversionOf(fsPath);
    for await (const _ of changes([conversion, reports.stored], signal)) {
      const { phase } = conversion.value;
      const tellsNone = phase === 'running' || phase === 'queued' || phase === 'done';
      const last = tellsNone ? undefined : (await reports.list()).find((entry) => tellsOf(entry, fsPath));
      yield conversionView(conversion.value, last === undefined ? undefined : finishedText(last.finished));
    }
  }

  rows(request: RowsRequest): Promise<RowsReply> {
    return this.#inventory.rows(request);
  }

  locate(request: LocateRequest): Promise<number> {
    return this.#inventory.locate(request);
  }

  tensors(request: RowsRequest): Promise<readonly number[]> {
    return this.#inventory.tensors(request);
  }

  names(request: TensorsRequest): Promise<readonly string[]> {
    return this.#inventory.names(request);
  }

  selection(request: TensorsRequest): Promise<SelectionView> {
    return this.#inventory.selection(request);
  }

  copyNames(request: TensorsRequest): Promise<void> {
    return this.#inventory.copyNames(request);
  }

  metadataValue(key: string): Promise<string> {
    return this.#inventory.metadataValue(key);
  }

  exportInventory(request: ExportRequest): Promise<void> {
    return this.#inventory.exportInventory(request);
  }

  openHex(request: TensorRequest): Promise<void> {
    return this.#inventory.openHex(request);
  }

  inspect(request: TensorRequest, signal: AbortSignal): AsyncIterable<InspectionView> {
    return this.#inventory.inspect(request, signal);
  }

  previewRounding(request: TensorRequest, signal: AbortSignal): AsyncIterable<RoundingPreviewView> {
    return this.#inventory.previewRounding(request, signal);
  }

  async convert(): Promise<void> {
    await this.services.convert(this.document.uri);
  }

  async cancelConversion(): Promise<void> {
    this.services.cancel(this.document.uri.fsPath);
  }

  async perform(intent: Intent): Promise<void> {
    if (intent === 'reload') await this.document.reload();
    else await this.services.perform(this.document.uri, intent);
  }

  async copy(text: string): Promise<void> {
    await vscode.env.clipboard.writeText(text);
  }

  async drawn(): Promise<void> {
    this.#inventory.drawn();
    this.services.drawn({ uri: this.document.uri, state: this.document.state.value });
  }

  async #fileView(state: KnownState): Promise<FileView> {
    const { uri } = this.document;
    const { output: path } = this.services.panel.choices.wanted(uri);
    if (path === undefined || state.kind === 'invalid') return fileView(uri.fsPath, state);
    const problem = outputProblem(path, await outputPlace(path, [uri.fsPath, ...state.files]))?.text;
    return fileView(uri.fsPath, state, { path, ...(problem === undefined ? {} : { problem }) });
  }

  async #withRows(state: KnownState, query: Query): Promise<ShownFile> {
    const view = await this.#fileView(state);
    return view.kind === 'inventory' ? { view, first: await this.#inventory.firstRows(view.revision, query) } : { view };
  }
}
