/** The custom editor for safetensors files: read-only, one document for each file, one session for each tab. */
import * as vscode from 'vscode';
import { serve } from '../rpc/server';
import type { EditorApi } from '../webview/protocol/editorApi';
import { EditorSession, type SessionServices } from './editorSession';
import { ModelDocument, type RecipeSource } from './model/modelDocument';
import { webviewHtml } from './webviewHtml';
import { webviewPort } from './webviewPort';

export const VIEW_TYPE = 'fp8.safetensors';

export interface EditorHooks extends SessionServices {
  readonly recipes: RecipeSource;
  /** The file or its plan is no longer what it was. */
  changed(path: string): void;
}

export class SafetensorsEditor implements vscode.CustomReadonlyEditorProvider<ModelDocument> {
  constructor(
    private readonly bundles: vscode.Uri,
    private readonly hooks: EditorHooks,
  ) {}

  register(): vscode.Disposable {
    return vscode.window.registerCustomEditorProvider(VIEW_TYPE, this, {
      supportsMultipleEditorsPerDocument: true,
      webviewOptions: { retainContextWhenHidden: false },
    });
  }

  openCustomDocument(uri: vscode.Uri): ModelDocument {
    const document = new ModelDocument(uri, this.hooks.recipes);
    let before = document.state.value;
    document.state.onChange((state) => {
      // The first plan of a file changes nothing of it.
      if (before.kind !== 'reading' && before.kind !== 'listed') this.hooks.changed(uri.fsPath);
      before = state;
    });
    return document;
  }

  resolveCustomEditor(document: ModelDocument, panel: vscode.WebviewPanel): void {
    panel.webview.options = { enableScripts: true, localResourceRoots: [this.bundles] };
    const connection = serve<EditorApi>(webviewPort(panel), new EditorSession(document, this.hooks));
    panel.onDidDispose(() => connection.dispose());
    panel.webview.html = webviewHtml(panel.webview, this.bundles);
    document.read();
  }
}
