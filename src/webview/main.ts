/** The webview's entry: the report's page, or the editor's, which follows the file and its conversion and shows what fits. */
import './styles/main.css';
import { RpcClient } from '../rpc/client';
import { showComparison } from './compare/page';
import { InventoryPage } from './inventory/page';
import { makeInvalidPage } from './invalidPage';
import { Shell } from './panel/shell';
import type { EditorApi, ShownFile } from './protocol/editorApi';
import type { ConversionView } from './protocol/views';
import { showReport } from './report/showReport';
import { registerControls } from './ui';
import { fileOfPage, hostPort, savedState } from './webviewApi';

performance.mark('script');
registerControls();
performance.mark('controls');
switch (document.body.dataset['page']) {
  case 'report':
    void showReport();
    break;
  case 'compare':
    void showComparison();
    break;
  default:
    showEditor(new RpcClient<EditorApi>(hostPort));
}

function showEditor(host: RpcClient<EditorApi>): void {
  let shell: Shell | undefined;
  let page: InventoryPage | undefined;
  let conversion: ConversionView = { phase: 'idle' };
  const saved = savedState();
  const first = fileOfPage();

  void follow();
  void followConversion();

  async function follow(): Promise<void> {
    if (first !== undefined) {
      performance.mark('file');
      await show(first);
    }
    const known = first === undefined ? undefined : { known: first.view.revision };
    for await (const file of host.stream('file', { query: saved.query, ...known })) {
      performance.mark('file');
      await show(file);
    }
  }

  async function followConversion(): Promise<void> {
    for await (const view of host.stream('conversion', undefined)) {
      conversion = view;
      page?.showConversion(view);
      shell?.showConversion(view);
    }
  }

  async function show({ view, first }: ShownFile): Promise<void> {
    switch (view.kind) {
      case 'invalid':
        page?.dispose();
        page = undefined;
        document.body.replaceChildren(makeInvalidPage(view, (intent) => void host.request('perform', intent)));
        await host.request('drawn', undefined);
        return;
      case 'inventory':
        if (page === undefined) {
          page = new InventoryPage(host, saved);
          page.showConversion(conversion);
          await page.showFile(view, first);
          shell ??= new Shell(host);
          shell.show(page.root);
          shell.showConversion(conversion);
          document.body.replaceChildren(shell.root);
          page.mounted();
          shell.prepare();
        } else {
          await page.showFile(view);
        }
        return;
    }
  }
}
