/**
 * The shell of the editor's page: the panel beside the inventory, or above it where there is little room; shown or hidden as the user likes. What
 * stands first on the screen stands first in the page, and in the order of the Tab key.
 */
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
    WIDE.addEventListener('change', () => {
      this.#place();
      this.#showState();
    });
    void this.#follow();
  }

  /** `page` is the inventory. */
  show(page: HTMLElement): void {
    this.root.replaceChildren(page);
    this.#place();
    this.#showState();
  }

  /** A part that is moved loses the focus and its place: the smaller one is. */
  #place(): void {
    const focused = document.activeElement;
    if (WIDE.matches) this.root.append(this.#panel.root);
    else this.root.prepend(this.#panel.root);
    if (focused instanceof HTMLElement && this.#panel.root.contains(focused)) focused.focus();
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
