/** The commands that the extension contributes, and which file each acts on. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import type { ChosenOutput } from './conversion/chooseOutput';
import type { ConversionOutcome } from './conversion/conversionState';
import { VIEW_TYPE } from './safetensorsEditor';

export interface CommandHandlers {
  convert(uri: vscode.Uri, output?: ChosenOutput): Promise<ConversionOutcome | undefined>;
  showLog(): void;
  /** Paths of the models whose conversion runs or waits. */
  active(): readonly string[];
  cancel(path: string): void;
}

export function registerCommands(handlers: CommandHandlers): vscode.Disposable {
  return vscode.Disposable.from(
    /**
     * From the palette: no arguments. From a menu: the file, and all selected files. From code: the file and
     * `{ path, overwrite: 'refuse' | 'replace' }`, which asks nothing; resolves with how the conversion ended.
     */
    vscode.commands.registerCommand('fp8.convert', async (uri?: unknown, more?: unknown) => {
      const sources = await sourcesOf(uri, more);
      const output = chosenOutput(more);
      const [first] = await Promise.all(sources.map((source) => handlers.convert(source, output)));
      return first;
    }),
    vscode.commands.registerCommand('fp8.cancelConversion', async (uri?: unknown) => {
      const path = uri instanceof vscode.Uri ? uri.fsPath : await chooseActive(handlers.active());
      if (path !== undefined) handlers.cancel(path);
    }),
    vscode.commands.registerCommand('fp8.showConversion', async () => {
      const path = await chooseActive(handlers.active());
      if (path !== undefined) await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(path), VIEW_TYPE);
    }),
    vscode.commands.registerCommand('fp8.showLog', () => handlers.showLog()),
  );
}

async function sourcesOf(uri: unknown, more: unknown): Promise<readonly vscode.Uri[]> {
  if (Array.isArray(more) && more.length > 1) return more.filter((item): item is vscode.Uri => item instanceof vscode.Uri && isModel(item));
  if (uri instanceof vscode.Uri) return [uri];
  const active = activeModel();
  if (active !== undefined) return [active];
  return (
    (await vscode.window.showOpenDialog({
      title: 'Choose Models to Convert to FP8',
      openLabel: 'Convert to FP8',
      canSelectMany: true,
      filters: { Safetensors: ['safetensors'] },
    })) ?? []
  );
}

/** The model in the active tab, in this editor or in another one. */
export function activeModel(): vscode.Uri | undefined {
  const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  if (input instanceof vscode.TabInputCustom && input.viewType === VIEW_TYPE) return input.uri;
  if (input instanceof vscode.TabInputText && isModel(input.uri)) return input.uri;
  return undefined;
}

/** The model in the active tab where it is being converted, else the only one, else the one that the user picks. */
async function chooseActive(active: readonly string[]): Promise<string | undefined> {
  const current = activeModel()?.fsPath;
  if (current !== undefined && active.includes(current)) return current;
  if (active.length <= 1) return active[0];
  const items = active.map((path) => ({ label: basename(path), description: dirname(path), path }));
  return (await vscode.window.showQuickPick(items, { title: 'Which Conversion?' }))?.path;
}

export function isModel(uri: vscode.Uri): boolean {
  return /\.safetensors(\.index\.json)?$/i.test(uri.path);
}

function chosenOutput(value: unknown): ChosenOutput | undefined {
  if (typeof value !== 'object' || value === null || !('path' in value) || typeof value.path !== 'string') return undefined;
  return { path: value.path, overwrite: 'overwrite' in value && value.overwrite === 'replace' ? 'replace' : 'refuse' };
}
