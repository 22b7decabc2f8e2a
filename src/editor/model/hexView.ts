/** Hex views: the first bytes of a tensor as a read-only document of the text editor, with their places in the file. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { TensorInfo } from '../../engine/safetensors/header';
import { openModel } from '../../engine/safetensors/modelSource';
import { hexDump } from './hexDump';

const SCHEME = 'fp8-hex';
const SHOWN_BYTES = 16_384;

/** The query holds which file and tensor; the path is what the tab shows. */
export async function openHex(file: vscode.Uri, tensor: TensorInfo): Promise<void> {
  const query = JSON.stringify({ file: file.fsPath, tensor: tensor.name });
  const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${tensor.name.replaceAll('/', '∕')} – ${basename(file.fsPath)}.hex`, query });
  await vscode.commands.executeCommand('vscode.open', uri, { preview: true } satisfies vscode.TextDocumentShowOptions);
}

export function registerHexViews(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, { provideTextDocumentContent: hexText });
}

/** The query comes from a link that anybody can write: it can only name a valid file and a tensor in it. */
async function hexText({ query }: vscode.Uri): Promise<string> {
  const asked: unknown = JSON.parse(query);
  if (!isAsked(asked)) return 'This link does not name a tensor.\n';
  const model = await openModel(asked.file);
  try {
    const tensor = model.header.byName.get(asked.tensor);
    if (tensor === undefined) return `${asked.file} has no tensor "${asked.tensor}".\n`;
    return hexDump(tensor, await model.readTensor(tensor, SHOWN_BYTES));
  } finally {
    await model.close();
  }
}

function isAsked(value: unknown): value is { readonly file: string; readonly tensor: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'file' in value &&
    typeof value.file === 'string' &&
    'tensor' in value &&
    typeof value.tensor === 'string'
  );
}
