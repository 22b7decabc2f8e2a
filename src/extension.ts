/** The extension's entry: makes the parts and connects them. */
import * as vscode from 'vscode';
import { registerCommands } from './editor/commands';
import { Conversions } from './editor/conversion/conversions';
import { logEvent } from './editor/conversion/logEvents';
import { ConvertCommand } from './editor/convertCommand';
import type { DrawnFile } from './editor/editorSession';
import { intents } from './editor/intents';
import { Reports } from './editor/report/reports';
import { SafetensorsEditor } from './editor/safetensorsEditor';
import { EngineClient } from './engine/process/engineClient';

/** What other extensions and tests may use. */
export interface ExtensionApi {
  /** Fires when an editor has drawn its file: the first rows, or why there are none. */
  readonly onDidDraw: vscode.Event<DrawnFile>;
}

let engine: EngineClient | undefined;

export function activate(context: vscode.ExtensionContext): ExtensionApi {
  const bundles = vscode.Uri.joinPath(context.extensionUri, 'dist');
  const log = vscode.window.createOutputChannel('FP8 Quantizer', { log: true });
  const client = new EngineClient({ modulePath: vscode.Uri.joinPath(bundles, 'engine.js').fsPath, log: (line) => log.info(line) });
  engine = client;

  const reports = new Reports(vscode.Uri.joinPath(context.globalStorageUri, 'reports').fsPath);
  const conversions = new Conversions(
    client,
    (source, event) => logEvent(log, source, event),
    () => void vscode.commands.executeCommand('setContext', 'fp8.converting', conversions.active.length > 0),
  );
  const drawn = new vscode.EventEmitter<DrawnFile>();
  const { actions, perform } = intents({ conversions, reports, log });
  const command = new ConvertCommand(conversions, actions);
  const editor = new SafetensorsEditor(bundles, {
    conversionOf: (path) => conversions.of(path),
    convert: async (uri) => {
      await command.run(uri);
    },
    cancel: (path) => conversions.cancel(path),
    changed: (path) => conversions.forgetOutcome(path),
    drawn: (file) => drawn.fire(file),
    perform,
  });

  context.subscriptions.push(
    log,
    drawn,
    reports.register(),
    editor.register(),
    registerCommands({
      convert: (uri, output) => command.run(uri, output),
      showLog: () => log.show(),
      active: () => conversions.active,
      cancel: (path) => conversions.cancel(path),
    }),
  );
  return { onDidDraw: drawn.event };
}

/** Running conversions are cancelled and leave nothing behind. */
export async function deactivate(): Promise<void> {
  await engine?.dispose();
}
