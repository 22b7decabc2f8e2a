/** The custom editor for safetensors files: read-only, one document for each file, one session for each tab. */
import * as vscode from 'vscode';
import { serve } from '../rpc/server';
import type { EditorApi } from '../webview/protocol/editorApi';
import { EditorSession, type SessionServices } from './editorSession';
import { ModelDocument, type RecipeSource } from './model/modelDocument';
import { webviewHtml } from './webviewHtml';
import { webviewPort } from './webviewPort';

export const VIEW_TYPE = 'fp8.safetensors';

/** A file that is read sooner comes with its page; the page of another one asks for it. */
const FIRST_FILE_MILLISECONDS = 1000;

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

  async resolveCustomEditor(document: ModelDocument, panel: vscode.WebviewPanel): Promise<void> {
    panel.webview.options = { enableScripts: true, localResourceRoots: [this.bundles] };
    const session = new EditorSession(document, this.hooks);
    const connection = serve<EditorApi>(webviewPort(panel), session);
    const closed = new AbortController();
    panel.onDidDispose(() => {
      closed.abort();
      connection.dispose();
    });
    document.read();
    // The workbench makes the frame for the page meanwhile.
    const first = await session.firstFile(AbortSignal.any([closed.signal, AbortSignal.timeout(FIRST_FILE_MILLISECONDS)]));
    if (!closed.signal.aborted) panel.webview.html = webviewHtml(panel.webview, this.bundles, 'editor', first);
  }
}
