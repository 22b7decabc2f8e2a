/** The shell of the editor's page: the panel beside the inventory, or above it where there is little room; shown or hidden as the user likes. */
import type { RpcClient } from '../../rpc/client';
import { element } from '../dom';
import type { EditorApi } from '../protocol/editorApi';
import type { PanelView } from '../protocol/panelApi';
import type { ConversionView } from '../protocol/views';
import { Panel } from './panel';
import { onToggle, setPanelState } from './toggle';

/** From here on the panel stands beside the inventory, and is open unless the user has closed it. As in panel.css. */
const WIDE = window.matchMedia('(min-width: 1000px)');

export class Shell {
  readonly root = element('div', { class: 'shell' });
  readonly #panel: Panel;
  #wanted: PanelView['panel'] = 'untold';

  constructor(private readonly host: RpcClient<EditorApi>) {
    this.#panel = new Panel(host);
    onToggle(this.root, () => this.#toggle());
    WIDE.addEventListener('change', () => this.#showState());
    void this.#follow();
  }

  /** `page` is the inventory. */
  show(page: HTMLElement): void {
    this.root.replaceChildren(this.#panel.root, page);
    this.#showState();
  }

  /** Once the first rows are on the screen. */
  prepare(): void {
    requestIdleCallback(() => this.#panel.prepare());
  }

  showConversion(view: ConversionView): void {
    this.#panel.showConversion(view);
  }

  async #follow(): Promise<void> {
    for await (const view of this.host.stream('panel', undefined)) {
      this.#wanted = view.panel;
      this.#panel.show(view);
      this.#showState();
    }
  }

  #toggle(): void {
    const next = this.#state() === 'open' ? 'close' : 'open';
    this.#wanted = next === 'open' ? 'open' : 'closed';
    this.#showState();
    void this.host.request('panelCommand', next);
  }

  #state(): 'open' | 'closed' {
    if (this.#wanted !== 'untold') return this.#wanted;
    return WIDE.matches ? 'open' : 'closed';
  }

  #showState(): void {
    this.#panel.root.hidden = this.#state() === 'closed';
    setPanelState(this.root, this.#state());
  }
}
