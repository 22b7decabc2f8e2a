/** chooseOutput: where a conversion writes, asking before anything is replaced. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { outputPlace } from './outputPlace';

export interface ChosenOutput {
  readonly path: string;
  readonly overwrite: 'refuse' | 'replace';
}

/** `undefined` where the user changed their mind. */
export async function chooseOutput(preferred: string): Promise<ChosenOutput | undefined> {
  const place = await outputPlace(preferred);
  if (place === 'free') return { path: preferred, overwrite: 'refuse' };
  const replace = 'Replace';
  const another = 'Choose Another Name…';
  const folder = dirname(preferred);
  const answer = await vscode.window.showWarningMessage(
    `“${basename(preferred)}” already exists.`,
    {
      modal: true,
      detail:
        place === 'folder'
          ? `It is a folder in ${folder} that has something in it, and no folder is ever replaced.`
          : `It is in ${folder}. Replacing it cannot be undone.`,
    },
    ...(place === 'folder' ? [] : [replace]),
    another,
  );
  switch (answer) {
    case replace:
      return { path: preferred, overwrite: 'replace' };
    case another:
      return askForName(await unusedName(preferred));
    default:
      return undefined;
  }
}

/** Of a file or, where the name has no such ending, a folder. */
export async function askForOutput(suggestion: string, saveLabel: string): Promise<string | undefined> {
  const uri = await vscode.window.showSaveDialog({
    title: 'Save the Converted Model As',
    saveLabel,
    defaultUri: vscode.Uri.file(suggestion),
    // The dialog would add the ending to the name of a folder, or of an index.
    ...(suggestion.endsWith('.safetensors') ? { filters: { Safetensors: ['safetensors'] } } : {}),
  });
  return uri?.fsPath;
}

async function askForName(suggestion: string): Promise<ChosenOutput | undefined> {
  const path = await askForOutput(suggestion, 'Convert');
  if (path === undefined) return undefined;
  // The dialog has asked before it returns the name of a file that is taken.
  return { path, overwrite: (await outputPlace(path)) === 'file' ? 'replace' : 'refuse' };
}

async function unusedName(path: string): Promise<string> {
  for (let number = 2; ; number++) {
    const candidate = path.replace(/((\.safetensors(\.index\.json)?)?)$/, `_${number}$1`);
    if ((await outputPlace(candidate)) === 'free') return candidate;
  }
}
