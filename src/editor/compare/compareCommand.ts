/** "Compare Safetensors…": from what is selected, or open and picked, to two models, of which the one that is not quantized is the reference. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { isQuantized } from '../../engine/inspect/pairTensors';
import { readModelSource } from '../../engine/safetensors/modelSource';
import { INDEX_SUFFIX, isIndexPath } from '../../engine/safetensors/shardIndex';
import { activeModel, isModel } from '../commands';
import { relationOf, type ReportEntry } from '../report/reportEntry';
import type { Reports } from '../report/reports';

export async function filesToCompare(
  uri: unknown,
  more: unknown,
  reports: Pick<Reports, 'list'>,
): Promise<readonly [string, string] | undefined> {
  const selected = Array.isArray(more) ? more.filter((item): item is vscode.Uri => item instanceof vscode.Uri && isModel(item)) : [];
  const [first = uri instanceof vscode.Uri ? uri : activeModel(), second] = selected;
  const left = first ?? (await pick('Compare Which Model?', undefined, []));
  if (left === undefined) return undefined;
  const right = second ?? (await pick(`Compare ${basename(left.fsPath)} with…`, left, await reports.list()));
  return right === undefined ? undefined : inOrder(left.fsPath, right.fsPath);
}

/** Of the known model the own conversions come first, or what it was converted from. */
async function pick(title: string, known: vscode.Uri | undefined, reports: readonly ReportEntry[]): Promise<vscode.Uri | undefined> {
  const files = await vscode.workspace.findFiles('**/*.{safetensors,safetensors.index.json}', undefined, 500);
  const found = withoutShards(files).filter(({ fsPath }) => fsPath !== known?.fsPath);
  const relation = (uri: vscode.Uri): string | undefined =>
    known === undefined ? undefined : relationOf(uri.fsPath, known.fsPath, reports);
  const near = (uri: vscode.Uri): number => {
    if (relation(uri) !== undefined) return 0;
    return known !== undefined && dirname(uri.fsPath) === dirname(known.fsPath) ? 1 : 2;
  };
  const items = found
    .sort((a, b) => near(a) - near(b) || a.fsPath.localeCompare(b.fsPath))
    .map((uri) => {
      const folder = vscode.workspace.asRelativePath(dirname(uri.fsPath));
      return { label: basename(uri.fsPath), description: [relation(uri), folder].filter((part) => part !== undefined).join(' · '), uri };
    });
  const browse = { label: 'Browse…', description: 'another folder', uri: undefined };
  const picked = items.length === 0 ? browse : await vscode.window.showQuickPick([...items, browse], { title, matchOnDescription: true });
  if (picked === undefined || picked.uri !== undefined) return picked?.uri;
  const [chosen] =
    (await vscode.window.showOpenDialog({ title, openLabel: 'Compare', filters: { Safetensors: ['safetensors', 'json'] } })) ?? [];
  return chosen;
}

/** Shards are compared as the one model that their index names. */
function withoutShards(files: readonly vscode.Uri[]): readonly vscode.Uri[] {
  const indexes = new Set(files.map(({ path }) => path).filter(isIndexPath));
  return files.filter(({ path }) => !indexes.has(path.replace(/-\d{5,}-of-\d{5,}\.safetensors$/i, INDEX_SUFFIX)) || isIndexPath(path));
}

/** Errors are relative to the source, whichever was named first. A file that cannot be read is told of by the comparison. */
async function inOrder(left: string, right: string): Promise<readonly [string, string]> {
  const [isLeft, isRight] = await Promise.all(
    [left, right].map((path) =>
      readModelSource(path).then(
        ({ header }) => isQuantized(header),
        () => false,
      ),
    ),
  );
  return isLeft === true && isRight === false ? [right, left] : [left, right];
}
