/** ReportPanels: the pages of reports, one for each report, which come back after a reload. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { JobReport } from '../../engine/job/report';
import { serve } from '../../rpc/server';
import type { ReportApi } from '../../webview/protocol/reportApi';
import { webviewHtml } from '../webviewHtml';
import { webviewPort } from '../webviewPort';
import { ReportSession, type ReportServices } from './reportSession';
import type { Reports } from './reports';

export const REPORT_VIEW_TYPE = 'fp8.report';

export class ReportPanels implements vscode.WebviewPanelSerializer {
  readonly #open = new Map<string, vscode.WebviewPanel>();

  constructor(
    private readonly bundles: vscode.Uri,
    private readonly reports: Reports,
    private readonly services: ReportServices,
  ) {}

  register(): vscode.Disposable {
    return vscode.window.registerWebviewPanelSerializer(REPORT_VIEW_TYPE, this);
  }

  async show(report: JobReport): Promise<void> {
    this.showStored(await this.reports.store(report), report.output);
  }

  showStored(id: string, output: string): void {
    const open = this.#open.get(id);
    if (open !== undefined) {
      open.reveal();
      return;
    }
    const title = `${basename(output, '.safetensors')} report`;
    const panel = vscode.window.createWebviewPanel(REPORT_VIEW_TYPE, title, vscode.ViewColumn.Active, { enableFindWidget: true });
    this.#fill(panel, id);
  }

  /** The page keeps its report's name as its state. */
  async deserializeWebviewPanel(panel: vscode.WebviewPanel, state: unknown): Promise<void> {
    const id = typeof state === 'object' && state !== null && 'report' in state && typeof state.report === 'string' ? state.report : '';
    this.#fill(panel, id);
  }

  #fill(panel: vscode.WebviewPanel, id: string): void {
    this.#open.set(id, panel);
    panel.webview.options = { enableScripts: true, localResourceRoots: [this.bundles] };
    const connection = serve<ReportApi>(webviewPort(panel), new ReportSession(id, this.reports, this.services));
    panel.onDidDispose(() => {
      connection.dispose();
      this.#open.delete(id);
    });
    panel.webview.html = webviewHtml(panel.webview, this.bundles, 'report');
  }
}
