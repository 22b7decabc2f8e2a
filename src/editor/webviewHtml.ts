/** The webview's page: one script and one style sheet of ours, and nothing else may run or load. */
import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';
import { PAGE_DATA_ID, type ShownFile } from '../webview/protocol/editorApi';
import { pageDataBlock } from './pageData';

/** The control toolkit adds one style element without text, and fills it through the object model. */
const EMPTY_STYLE = `'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='`;

/** Which page the script makes. */
export type PageName = 'editor' | 'report' | 'compare';

const TITLES: Readonly<Record<PageName, string>> = {
  editor: 'Safetensors inventory',
  report: 'Conversion report',
  compare: 'Comparison of models',
};

/** `bundles` is the folder that holds the script and the style sheet; `file` is what the page need not ask for. */
export function webviewHtml(webview: vscode.Webview, bundles: vscode.Uri, page: PageName = 'editor', file?: ShownFile): string {
  const nonce = randomBytes(16).toString('base64');
  const source = (name: string): string => webview.asWebviewUri(vscode.Uri.joinPath(bundles, name)).toString();
  const policy = [`default-src 'none'`, `style-src ${webview.cspSource} ${EMPTY_STYLE}`, `script-src 'nonce-${nonce}'`].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="stylesheet" href="${source('webview.css')}">
    <title>${TITLES[page]}</title>
  </head>
  <body data-page="${page}">
    ${file === undefined ? '' : pageDataBlock(PAGE_DATA_ID, file)}
    <script nonce="${nonce}" src="${source('webview.js')}"></script>
  </body>
</html>`;
}
