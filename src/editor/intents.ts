/** What can be done with a file and its conversion, as the webview and notifications ask for it. */
import * as vscode from 'vscode';
import type { Intent } from '../webview/protocol/editorApi';
import type { Conversions } from './conversion/conversions';
import type { OutcomeActions } from './conversion/outcomeNotification';
import type { JobReport } from '../engine/job/report';
import { modelFileOf, sourceKind } from '../engine/safetensors/modelSource';
import { VIEW_TYPE } from './safetensorsEditor';

export interface IntentParts {
  readonly conversions: Conversions;
  readonly showReport: (report: JobReport) => Promise<void>;
  readonly log: vscode.LogOutputChannel;
}

export interface Intents {
  readonly actions: OutcomeActions;
  readonly perform: (uri: vscode.Uri, intent: Exclude<Intent, 'reload'>) => Promise<void>;
}

export function intents({ conversions, showReport, log }: IntentParts): Intents {
  const actions: OutcomeActions = {
    open: openModel,
    reveal,
    showReport: ({ report }) => showReport(report),
    showLog: () => log.show(),
  };
  return {
    actions,
    async perform(uri, intent) {
      const state = conversions.of(uri.fsPath).value;
      switch (intent) {
        case 'openOutput':
          if (state.phase === 'done') await actions.open(state.output);
          return;
        case 'revealOutput':
          if (state.phase === 'done') await actions.reveal(state.output);
          return;
        case 'showReport':
          if (state.phase === 'done') await actions.showReport(state);
          else await vscode.commands.executeCommand('fp8.showReport', uri);
          return;
        case 'showLog':
          actions.showLog();
          return;
        case 'reopenWith':
          await vscode.commands.executeCommand('workbench.action.reopenWithEditor');
          return;
        case 'openAsText':
          await vscode.commands.executeCommand('vscode.openWith', uri, 'default');
          return;
        case 'openSettings':
          await vscode.commands.executeCommand('workbench.action.openSettings', '@ext:fp8-quantizer.fp8-quantizer');
          return;
      }
    },
  };
}

/** A folder by the model that is in it. */
export async function openModel(path: string): Promise<void> {
  const file = (await sourceKind(path)) === 'folder' ? await modelFileOf(path) : path;
  await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(file), VIEW_TYPE);
}

/** In the explorer where the file belongs to the workspace, else in the operating system's, which only a local window has. */
export async function reveal(output: string): Promise<void> {
  const uri = vscode.Uri.file(output);
  const inWorkspace = vscode.workspace.getWorkspaceFolder(uri) !== undefined;
  await vscode.commands.executeCommand(inWorkspace || vscode.env.remoteName !== undefined ? 'revealInExplorer' : 'revealFileInOS', uri);
}
