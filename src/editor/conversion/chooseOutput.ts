/** chooseOutput: where a conversion writes, asking before anything is replaced. */
import { access } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';

export interface ChosenOutput {
  readonly path: string;
  readonly overwrite: 'refuse' | 'replace';
}

/** `undefined` where the user changed their mind. */
export async function chooseOutput(preferred: string): Promise<ChosenOutput | undefined> {
  if (!(await exists(preferred))) return { path: preferred, overwrite: 'refuse' };
  const replace = 'Replace';
  const another = 'Choose Another Name…';
  const answer = await vscode.window.showWarningMessage(
    `“${basename(preferred)}” already exists.`,
    { modal: true, detail: `It is in ${dirname(preferred)}. Replacing it cannot be undone.` },
    replace,
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

async function askForName(suggestion: string): Promise<ChosenOutput | undefined> {
  const uri = await vscode.window.showSaveDialog({
    title: 'Save the Converted Model As',
    saveLabel: 'Convert',
    defaultUri: vscode.Uri.file(suggestion),
    filters: { Safetensors: ['safetensors'] },
  });
  if (uri === undefined) return undefined;
  // The dialog has asked before it returns a name that is taken.
  return { path: uri.fsPath, overwrite: (await exists(uri.fsPath)) ? 'replace' : 'refuse' };
}

async function unusedName(path: string): Promise<string> {
  for (let number = 2; ; number++) {
    const candidate = path.replace(/(\.safetensors)?$/, `_${number}$1`);
    if (!(await exists(candidate))) return candidate;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
