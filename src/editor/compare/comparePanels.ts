/** ComparePanels: the pages of comparisons, one for each pair of files; they come back after a reload and compare anew. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { serve } from '../../rpc/server';
import type {
  ComparisonApi,
  ComparisonCommand,
  ComparisonRows,
  ComparisonRowsRequest,
  ComparisonView,
} from '../../webview/protocol/comparisonApi';
import { webviewHtml } from '../webviewHtml';
import { webviewPort } from '../webviewPort';
import { Comparison, type Comparer } from './comparison';
import { comparisonCsv, comparisonRows } from './comparisonRows';

export const COMPARE_VIEW_TYPE = 'fp8.compare';

export interface CompareServices {
  readonly comparer: Comparer;
  threads(): number;
  open(path: string): Promise<void>;
}

export class ComparePanels implements vscode.WebviewPanelSerializer {
  readonly #open = new Map<string, vscode.WebviewPanel>();

  constructor(
    private readonly bundles: vscode.Uri,
    private readonly services: CompareServices,
  ) {}

  register(): vscode.Disposable {
    return vscode.window.registerWebviewPanelSerializer(COMPARE_VIEW_TYPE, this);
  }

  show(reference: string, other: string): void {
    const open = this.#open.get(keyOf(reference, other));
    if (open !== undefined) {
      open.reveal();
      return;
    }
    const panel = vscode.window.createWebviewPanel(COMPARE_VIEW_TYPE, 'Comparison', vscode.ViewColumn.Active);
    this.#fill(panel, reference, other);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    if (isPair(state)) this.#fill(panel, state.reference, state.other);
    else panel.dispose();
  }

  #fill(panel: vscode.WebviewPanel, reference: string, other: string): void {
    const key = keyOf(reference, other);
    this.#open.set(key, panel);
    const comparison = new Comparison(this.services.comparer, { reference, other, threads: this.services.threads() });
    const title = comparison.view.onChange((view) => (panel.title = `${view.reference.fileName} ↔ ${view.other.fileName}`));
    panel.webview.options = { enableScripts: true, localResourceRoots: [this.bundles] };
    const connection = serve<ComparisonApi>(webviewPort(panel), new ComparisonSession(comparison, this.services));
    panel.onDidDispose(() => {
      title.dispose();
      comparison.cancel();
      connection.dispose();
      this.#open.delete(key);
    });
    panel.webview.html = webviewHtml(panel.webview, this.bundles, 'compare');
    void comparison.run();
  }
}

class ComparisonSession implements ComparisonApi {
  constructor(
    private readonly own: Comparison,
    private readonly services: CompareServices,
  ) {}

  comparison(_: undefined, signal: AbortSignal): AsyncIterable<ComparisonView> {
    return this.own.view.values(signal);
  }

  async comparisonRows(request: ComparisonRowsRequest): Promise<ComparisonRows> {
    return comparisonRows(this.own.tensors, request);
  }

  async comparisonCommand(command: ComparisonCommand): Promise<void> {
    switch (command) {
      case 'swap':
        void this.own.swap();
        return;
      case 'again':
        void this.own.run();
        return;
      case 'cancel':
        this.own.cancel();
        return;
      case 'openReference':
        await this.services.open(this.own.files.reference);
        return;
      case 'openOther':
        await this.services.open(this.own.files.other);
        return;
      case 'export':
        await this.#export();
        return;
    }
  }

  async copy(text: string): Promise<void> {
    await vscode.env.clipboard.writeText(text);
  }

  async #export(): Promise<void> {
    const { other } = this.own.files;
    const target = await vscode.window.showSaveDialog({
      title: 'Export the Comparison',
      saveLabel: 'Export',
      defaultUri: vscode.Uri.joinPath(vscode.Uri.file(other), '..', `${basename(other, '.safetensors')}_comparison.csv`),
      filters: { CSV: ['csv'] },
    });
    if (target !== undefined) await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(comparisonCsv(this.own.tensors)));
  }
}

function keyOf(reference: string, other: string): string {
  return JSON.stringify([reference, other]);
}

function isPair(value: unknown): value is { readonly reference: string; readonly other: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'reference' in value &&
    typeof value.reference === 'string' &&
    'other' in value &&
    typeof value.other === 'string'
  );
}
