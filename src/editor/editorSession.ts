/** EditorSession: answers one webview with what its document and its conversion are. */
import * as vscode from 'vscode';
import { MAX_ROWS_PER_REQUEST, type EditorApi, type Intent, type LocateRequest, type RowsRequest } from '../webview/protocol/editorApi';
import type { ConversionView, FileView, RowView } from '../webview/protocol/views';
import type { Options, OverrideRequest, PanelCommand, PanelView, PlotPoint } from '../webview/protocol/panelApi';
import { conversionView } from './conversion/conversionView';
import type { ConversionState } from './conversion/conversionState';
import { PanelSession, type PanelServices } from './conversion/panelSession';
import type { ReadonlyObservable } from '../base/observable';
import { fileView } from './model/fileView';
import { Inventory } from './model/inventory';
import type { ModelDocument, ModelState } from './model/modelDocument';

/** What a session asks of the rest of the editor. */
export interface SessionServices {
  readonly panel: PanelServices;
  conversionOf(path: string): ReadonlyObservable<ConversionState>;
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
  #inventory: { readonly state: ModelState; readonly inventory: Inventory } | undefined;

  readonly #panel: PanelSession;

  constructor(
    private readonly document: ModelDocument,
    private readonly services: SessionServices,
  ) {
    this.#panel = new PanelSession(document, services.panel);
  }

  panel(_: undefined, signal: AbortSignal): AsyncIterable<PanelView> {
    return this.#panel.panel(undefined, signal);
  }

  finishedTensors(_: undefined, signal: AbortSignal): AsyncIterable<readonly PlotPoint[]> {
    return this.#panel.finishedTensors(undefined, signal);
  }

  setOptions(patch: Partial<Options>): Promise<void> {
    return this.#panel.setOptions(patch);
  }

  setOverride(request: OverrideRequest): Promise<string | undefined> {
    return this.#panel.setOverride(request);
  }

  panelCommand(command: PanelCommand): Promise<void> {
    return this.#panel.panelCommand(command);
  }

  async *file(_: undefined, signal: AbortSignal): AsyncGenerator<FileView, void, undefined> {
    const { uri } = this.document;
    for await (const state of this.document.state.values(signal)) {
      yield fileView(uri.fsPath, state, this.services.panel.choices.wanted(uri).output);
    }
  }

  async *conversion(_: undefined, signal: AbortSignal): AsyncGenerator<ConversionView, void, undefined> {
    for await (const state of this.services.conversionOf(this.document.uri.fsPath).values(signal)) yield conversionView(state);
  }

  async rows({ revision, order, start, end }: RowsRequest): Promise<readonly RowView[]> {
    return this.#current(revision)?.rows(order, start, Math.min(end, start + MAX_ROWS_PER_REQUEST)) ?? [];
  }

  async locate({ revision, order, tensor }: LocateRequest): Promise<number> {
    return this.#current(revision)?.locate(order, tensor) ?? -1;
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
    this.services.drawn({ uri: this.document.uri, state: this.document.state.value });
  }

  /** `undefined` where the webview asks about a file that has changed since: it hears of the change by itself. */
  #current(revision: number): Inventory | undefined {
    const state = this.document.state.value;
    if (state.kind !== 'valid' || state.revision !== revision) return undefined;
    if (this.#inventory?.state !== state) this.#inventory = { state, inventory: new Inventory(state.plan) };
    return this.#inventory.inventory;
  }
}
