/** exportInventory: asks where to, and writes a file's tensors as CSV or JSON. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { formatQuantity } from '../../base/format';
import { version } from '../../base/version';
import { makePlan } from '../../engine/plan/makePlan';
import type { PlannedTensor } from '../../engine/plan/plan';
import type { Recipe } from '../../engine/plan/recipe';
import { plannedTensors } from '../../engine/plan/stored/plannedTensors';
import { sourceForRecipe } from '../../engine/plan/stored/sourceForRecipe';
import type { Header } from '../../engine/safetensors/header';
import { readModelSource } from '../../engine/safetensors/modelSource';
import { inventoryText, type ExportFormat } from './inventoryText';

/** The whole of a file, which need not be open. */
export async function exportModel(uri: vscode.Uri, recipe: Recipe): Promise<void> {
  const file = await readModelSource(uri.fsPath);
  const { source, stored } = await sourceForRecipe(file, recipe);
  const plan = makePlan(source.header, recipe, { toolVersion: version, ...(stored === undefined ? {} : { stored }) });
  await exportInventory(uri, file.header, plannedTensors(file.header, plan));
}

export async function exportInventory(uri: vscode.Uri, header: Header, tensors: readonly PlannedTensor[]): Promise<void> {
  const title = `Export ${formatQuantity(tensors.length, 'Tensor')}`;
  const formats: readonly (vscode.QuickPickItem & { readonly format: ExportFormat })[] = [
    { label: 'CSV', description: 'for spreadsheets and data frames', format: 'csv' },
    { label: 'JSON', description: 'with the metadata of the file', format: 'json' },
  ];
  const picked = await vscode.window.showQuickPick(formats, { title, placeHolder: 'Choose a format' });
  if (picked === undefined) return;
  const { format, label } = picked;
  const name = `${basename(uri.fsPath, '.safetensors')}_tensors.${format}`;
  const target = await vscode.window.showSaveDialog({
    title,
    saveLabel: 'Export',
    defaultUri: vscode.Uri.joinPath(uri, '..', name),
    filters: { [label]: [format] },
  });
  if (target === undefined) return;
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(inventoryText(format, basename(uri.fsPath), header, tensors)));
  void offerToOpen(target, tensors.length);
}

async function offerToOpen(target: vscode.Uri, count: number): Promise<void> {
  const message = `Exported ${formatQuantity(count, 'tensor')} to ${basename(target.fsPath)}.`;
  if ((await vscode.window.showInformationMessage(message, 'Open')) === 'Open') await vscode.commands.executeCommand('vscode.open', target);
}
