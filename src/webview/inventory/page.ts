/** The inventory page: summary, conversion strip and table of one file, kept in step with what the extension host says. */
import type { RpcClient } from '../../rpc/client';
import { ConversionStrip } from '../conversion/strip';
import { element } from '../dom';
import type { EditorApi } from '../protocol/editorApi';
import type { ConversionView, InventoryView, Order } from '../protocol/views';
import { saveState, type SavedState } from '../webviewApi';
import { RowSource } from './rowSource';
import { makeSummary } from './summary';
import { Table } from './table';
import { makeTotals } from './totals';
import { makeWarnings } from './warnings';

export class InventoryPage {
  readonly root = element('main', { class: 'inventory' });
  readonly #summary = element('div');
  readonly #aboveTable = element('div');
  readonly #strip: ConversionStrip;
  readonly #table: Table;
  #view: InventoryView | undefined;
  #order: Order;
  #restore: SavedState | undefined;
  /** Known even while the row of it is not here. */
  #activeTensor: number | undefined;
  #drawn = false;

  constructor(
    private readonly host: RpcClient<EditorApi>,
    saved: SavedState,
  ) {
    this.#order = saved.order;
    this.#restore = saved;
    this.#activeTensor = saved.activeTensor;
    this.#strip = new ConversionStrip({
      onConvert: () => void host.request('convert', undefined),
      onCancel: () => void host.request('cancelConversion', undefined),
      onIntent: (intent) => void host.request('perform', intent),
    });
    this.#table = new Table({
      onSort: (order) => void this.#sort(order),
      onMove: () => this.#save(),
      onCopy: (name) => void host.request('copy', name),
      onComplete: () => this.#complete(),
    });
    this.root.append(this.#summary, this.#strip.root, this.#aboveTable, this.#table.root);
  }

  /** The page is in the document: the table can measure itself. */
  mounted(): void {
    this.#table.refresh();
  }

  async showFile(view: InventoryView): Promise<void> {
    const active = await this.#activeIndexIn(view);
    this.#view = view;
    this.#drawn = false;
    this.#strip.showProposal({ output: view.output, sourceBytes: view.fileSize, tensors: view.actions.quantize.tensors });
    this.#summary.replaceChildren(makeSummary(view));
    this.#aboveTable.replaceChildren(...makeWarnings(view.warnings), makeTotals(view.actions));
    this.#showTable(active, this.#restore?.scrollTop);
    this.#restore = undefined;
  }

  showConversion(view: ConversionView): void {
    this.#strip.showConversion(view);
  }

  dispose(): void {
    this.#table.dispose();
  }

  async #sort(order: Order): Promise<void> {
    const view = this.#view;
    if (view === undefined) return;
    this.#order = order;
    const active = await this.#activeIndexIn(view);
    if (this.#view !== view || this.#order !== order) return;
    this.#showTable(active, active === undefined ? 0 : undefined);
    if (active !== undefined) this.#table.reveal(active);
    this.#save();
  }

  /** The active row stays on its tensor when the order changes. */
  async #activeIndexIn(view: InventoryView): Promise<number | undefined> {
    const tensor = this.#activeTensor;
    if (tensor === undefined || tensor >= view.tensorCount) return undefined;
    return this.host.request('locate', { revision: view.revision, order: this.#order, tensor });
  }

  #showTable(active: number | undefined, scrollTop: number | undefined): void {
    const view = this.#view;
    if (view === undefined) return;
    const { revision } = view;
    const order = this.#order;
    const source = new RowSource(
      (start, end, signal) => this.host.request('rows', { revision, order, start, end }, signal),
      () => this.#table.refresh(),
    );
    this.#table.show({
      source,
      count: view.tensorCount,
      order,
      ...(active === undefined ? undefined : { active }),
      ...(scrollTop === undefined ? undefined : { scrollTop }),
    });
  }

  /** At once, for the tab may be hidden next: whatever waits then is lost with the page. */
  #save(): void {
    const activeTensor = this.#table.activeTensor ?? this.#activeTensor;
    this.#activeTensor = activeTensor;
    saveState({ order: this.#order, scrollTop: this.#table.scrollTop, ...(activeTensor === undefined ? undefined : { activeTensor }) });
  }

  #complete(): void {
    if (this.#drawn || !this.root.isConnected) return;
    this.#drawn = true;
    void this.host.request('drawn', undefined);
  }
}
