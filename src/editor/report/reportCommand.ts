/** "FP8: Show Report…": any of the reports that are kept, newest first. */
import * as vscode from 'vscode';
import { reportItem, tellsOf, type ReportEntry } from './reportEntry';
import type { Reports } from './reports';

/** From a model: its last report, and nothing where it has none. From the palette: the one that is picked. */
export function registerReportCommand(reports: Reports, show: (entry: ReportEntry) => void): vscode.Disposable {
  return vscode.commands.registerCommand('fp8.showReport', async (uri?: unknown) => {
    const entries = await reports.list();
    if (uri instanceof vscode.Uri) {
      const last = entries.find((entry) => tellsOf(entry, uri.fsPath));
      if (last !== undefined) show(last);
      return;
    }
    if (entries.length === 0) {
      void vscode.window.showInformationMessage('There is no report yet: every conversion leaves one.');
      return;
    }
    const items = entries.map((entry) => ({ ...reportItem(entry), entry }));
    const picked = await vscode.window.showQuickPick(items, { title: 'Which Report?', matchOnDescription: true, matchOnDetail: true });
    if (picked !== undefined) show(picked.entry);
  });
}
