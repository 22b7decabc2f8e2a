/** The webview's entry: follows the file and its conversion, and shows the page that fits. */
import './styles/main.css';
import { RpcClient } from '../rpc/client';
import { InventoryPage } from './inventory/page';
import { makeInvalidPage } from './invalidPage';
import type { EditorApi } from './protocol/editorApi';
import type { ConversionView, FileView } from './protocol/views';
import { registerControls } from './ui';
import { hostPort, savedState } from './webviewApi';

registerControls();
const host = new RpcClient<EditorApi>(hostPort);
let page: InventoryPage | undefined;
let conversion: ConversionView = { phase: 'idle' };

void follow();
void followConversion();

async function follow(): Promise<void> {
  for await (const view of host.stream('file', undefined)) await show(view);
}

async function followConversion(): Promise<void> {
  for await (const view of host.stream('conversion', undefined)) {
    conversion = view;
    page?.showConversion(view);
  }
}

async function show(view: FileView): Promise<void> {
  switch (view.kind) {
    case 'invalid':
      page?.dispose();
      page = undefined;
      document.body.replaceChildren(makeInvalidPage(view, (intent) => void host.request('perform', intent)));
      await host.request('drawn', undefined);
      return;
    case 'inventory':
      if (page === undefined) {
        page = new InventoryPage(host, savedState());
        page.showConversion(conversion);
        await page.showFile(view);
        document.body.replaceChildren(page.root);
        page.mounted();
      } else {
        await page.showFile(view);
      }
      return;
  }
}
