/** Reports: what jobs left behind, kept in the extension's storage and shown as read-only documents that survive a reload. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { JobReport } from '../../engine/job/report';
import { markdownReport } from './markdownReport';

const SCHEME = 'fp8-report';
const KEPT_REPORTS = 50;

export class Reports implements vscode.TextDocumentContentProvider {
  constructor(private readonly folder: string) {}

  register(): vscode.Disposable {
    return vscode.workspace.registerTextDocumentContentProvider(SCHEME, this);
  }

  async show(report: JobReport): Promise<void> {
    const name = await this.#store(report);
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${basename(report.output, '.safetensors')} report.md`, query: name });
    await vscode.commands.executeCommand('markdown.showPreview', uri);
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    try {
      // The query comes from a link that anybody can write: only a plain name in the folder is meant.
      const text = await readFile(join(this.folder, basename(uri.query)), 'utf8');
      return markdownReport(JSON.parse(text) as JobReport);
    } catch {
      return '# This report is no longer kept\n\nConvert the model again to get a new one.\n';
    }
  }

  async #store(report: JobReport): Promise<string> {
    await mkdir(this.folder, { recursive: true });
    const name = `${new Date().toISOString().replace(/\W/g, '')}.json`;
    await writeFile(join(this.folder, name), JSON.stringify(report));
    const stored = (await readdir(this.folder)).filter((entry) => entry.endsWith('.json')).sort();
    await Promise.all(stored.slice(0, -KEPT_REPORTS).map((entry) => rm(join(this.folder, entry), { force: true })));
    return name;
  }
}
