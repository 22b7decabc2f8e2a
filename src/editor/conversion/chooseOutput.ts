/** chooseOutput: where a conversion writes, asking before anything is replaced. */
import { basename, dirname } from 'node:path';
import * as vscode from 'vscode';
import { outputPlace, type OutputPlace } from './outputPlace';
import { outputProblem } from './outputProblem';

export interface ChosenOutput {
  readonly path: string;
  readonly overwrite: 'refuse' | 'replace';
}

export interface OutputQuestion {
  readonly preferred: string;
  /** A name that can be suggested where nothing can be written to the preferred one. */
  readonly fallback: string;
  /** The files that are read. */
  readonly sources: readonly string[];
}

/** `undefined` where the user changed their mind. */
export async function chooseOutput(question: OutputQuestion): Promise<ChosenOutput | undefined> {
  const { preferred, fallback, sources } = question;
  const place = await outputPlace(preferred, sources);
  if (place === 'free') return { path: preferred, overwrite: 'refuse' };
  const replace = 'Replace';
  const another = 'Choose Another Name…';
  const problem = outputProblem(preferred, place);
  const answer = await vscode.window.showWarningMessage(
    problem === undefined ? `“${basename(preferred)}” already exists.` : 'Nothing can be written there.',
    { modal: true, detail: problem?.text ?? detailOf(preferred, place) },
    ...(place === 'file' ? [replace] : []),
    another,
  );
  switch (answer) {
    case replace:
      return { path: preferred, overwrite: 'replace' };
    case another:
      return askForName(await unusedName(problem === undefined ? preferred : fallback, sources), question);
    default:
      return undefined;
  }
}

function detailOf(preferred: string, place: OutputPlace): string {
  const folder = dirname(preferred);
  return place === 'folder'
    ? `It is a folder in ${folder} that has something in it, and no folder is ever replaced.`
    : `It is in ${folder}. Replacing it cannot be undone.`;
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

async function askForName(suggestion: string, question: OutputQuestion): Promise<ChosenOutput | undefined> {
  const path = await askForOutput(suggestion, 'Convert');
  if (path === undefined) return undefined;
  // The dialog has asked before it returns the name of a file that is taken.
  if ((await outputPlace(path, question.sources)) === 'file') return { path, overwrite: 'replace' };
  return chooseOutput({ ...question, preferred: path });
}

async function unusedName(path: string, sources: readonly string[]): Promise<string> {
  if ((await outputPlace(path, sources)) === 'free') return path;
  for (let number = 2; ; number++) {
    const candidate = path.replace(/((\.safetensors(\.index\.json)?)?)$/, `_${number}$1`);
    const place = await outputPlace(candidate, sources);
    // Where nothing can be, no other number helps.
    if (place === 'free' || outputProblem(candidate, place) !== undefined) return candidate;
  }
}
