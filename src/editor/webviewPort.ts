/** The extension host's end of a webview's message channel. */
import type * as vscode from 'vscode';
import type { MessagePort } from '../rpc/port';

export function webviewPort(panel: vscode.WebviewPanel): MessagePort {
  return {
    post: (message) => void panel.webview.postMessage(message),
    onMessage: (listener) => panel.webview.onDidReceiveMessage(listener),
    onClose: (listener) => panel.onDidDispose(() => listener(new Error('the editor was closed'))),
  };
}
