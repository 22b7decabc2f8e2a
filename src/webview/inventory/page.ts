/** The inventory page: summary, conversion strip, table and details of one file, kept in step with what the extension host says. */
import type { RpcClient } from '../../rpc/client';
import { ConversionStrip } from '../conversion/strip';
import { element } from '../dom';
import type { EditorApi } from '../protocol/editorApi';
import type { RowKey } from '../protocol/inventoryApi';
import { COLLAPSED, type Expansion, type Query, type RowsReply, type TableRow } from '../protocol/query';
import type { ConversionView, InventoryView, Order } from '../protocol/views';
import { PAGE_ROWS, RowSource } from '../table/rowSource';
import { makeSortHeader, type SortHeader } from '../table/sortHeader';
import { VirtualTable, type MoveKeys } from '../table/virtualTable';
import { openMenu, type MenuPlace } from '../menu';
import { Details } from '../tensor/details';
import { Throttle } from '../throttle';
import { saveState } from '../webviewApi';
import { COLUMNS, makeInventoryRow } from './columns';
import { toggled } from './filterMenu';
import type { SavedState } from './savedState';
import { Selection, type TensorsOfRows } from './selection';
import { keyOf, tensorOf } from './rowKey';
import { rowMenu } from './rowMenu';
import { makeSelectionBar, type SelectionBar } from './selectionBar';
import { makeSummary } from './summary';
import { TensorActions } from './tensorActions';
import { makeToolbar, type Toolbar } from './toolbar';
import { makeTotals, type Totals } from './totals';
import { rowAround, treeKey } from './treeKeys';
import { makeWarnings } from './warnings';

const FILE_ORDER: Order = { column: 'file', direction: 'ascending' };

export class InventoryPage {
  readonly root = element('main', { class: 'inventory' });
  readonly #summary = element('div');
  readonly #warnings = element('div');
  readonly #strip: ConversionStrip;
  readonly #toolbar: Toolbar;
  readonly #totals: Totals;
  readonly #header: SortHeader<Order['column']>;
  readonly #table: VirtualTable<TableRow>;
  readonly #details: Details;
  readonly #selection: Selection;
  readonly #actions: TensorActions;
  readonly #selectionBar: SelectionBar;
  #view: InventoryView | undefined;
  #query: Query;
  #restore: SavedState | undefined;
  /** Known even while the row is not here. */
  #active: RowKey | undefined;
  #detailsState: SavedState['details'];
  /** Telling the editor of every pixel that is scrolled would take longer than scrolling. */
  readonly #saving = new Throttle(() => this.#saveState());
  #asking = new AbortController();
  #count = 0;
  #drawn = false;

  constructor(
    private readonly host: RpcClient<EditorApi>,
    saved: SavedState,
  ) {
    this.#query = saved.query;
    this.#restore = saved;
    this.#active = saved.active;
    this.#detailsState = saved.details;
    this.#strip = new ConversionStrip({
      onConvert: () => void host.request('convert', undefined),
      onCancel: () => void host.request('cancelConversion', undefined),
      onIntent: (intent) => void host.request('perform', intent),
    });
    this.#toolbar = makeToolbar({
      onQuery: (change) => void this.#ask(change),
      onCollapse: () => void this.#ask({ expansion: COLLAPSED }),
      onExport: () => void this.#actions.request((revision) => host.request('exportInventory', { revision, query: this.#query })),
      onDetails: () => this.#setDetails(this.#detailsState === 'open' ? 'closed' : 'open'),
      onEnterTable: () => this.#enterTable(),
    });
    this.#totals = makeTotals((action) => void this.#ask({ filters: toggled(this.#query.filters, { key: 'actions', value: action }) }));
    this.#selection = new Selection(() => this.#showSelection());
    this.#actions = new TensorActions(host, {
      revision: () => this.#view?.revision,
      selected: () => this.#selection.settled(),
      showProblem: (problem) => this.#selectionBar.showProblem(problem),
    });
    this.#selectionBar = makeSelectionBar({
      onCopy: () => this.#actions.copy(),
      onOverride: (action) => this.#actions.override(action),
      onClear: () => this.#selection.clear(),
    });
    this.#header = makeSortHeader(COLUMNS, { order: FILE_ORDER }, (order) => void this.#ask({ order }));
    this.#table = new VirtualTable(
      { label: 'Tensors', columns: COLUMNS.length, header: this.#header.root, makeRow: makeInventoryRow },
      {
        onActivate: (index, keys) => this.#activate(index, keys),
        onScroll: () => this.#saving.soon(),
        onOpen: (_, row) => this.#open(row),
        onMenu: (index, at) => this.#openMenu(index, at),
        onKey: (event, index) => this.#onKey(event, index),
        isSelected: (index, row) => (row.kind === 'tensor' ? this.#selection.has(row.tensor) : index === this.#table.activeIndex),
        onComplete: () => this.#complete(),
      },
    );
    this.#table.root.addEventListener('click', (event) => this.#onTwistie(event));
    this.#details = new Details(host, () => this.#setDetails('closed'));
    this.root.append(
      this.#summary,
      this.#strip.root,
      this.#warnings,
      element('div', { class: 'totals-row' }, [this.#totals.root, this.#selectionBar.root]),
      this.#toolbar.root,
      element('div', { class: 'work' }, [element('div', { class: 'table-box' }, [this.#table.root]), this.#details.root]),
    );
    this.root.addEventListener('keydown', (event) => {
      if (event.key !== 'f' || !(event.ctrlKey || event.metaKey) || event.shiftKey) return;
      this.#toolbar.focusSearch();
      event.preventDefault();
      event.stopPropagation();
    });
  }

  /** The page is in the document: the table can measure itself. */
  mounted(): void {
    this.#table.refresh();
  }

  async showFile(view: InventoryView, first?: RowsReply): Promise<void> {
    const before = this.#view;
    this.#view = view;
    this.#drawn = false;
    if (view.output !== undefined && view.actions !== undefined) {
      this.#strip.showProposal({ output: view.output, sourceBytes: view.fileSize, tensors: view.actions.quantize.tensors });
    }
    if (before === undefined || !isSameFile(before, view)) {
      this.#selection.clear();
      this.#details.hide();
      this.#summary.replaceChildren(
        makeSummary(view, {
          onDtype: (dtype) => void this.#ask({ filters: toggled(this.#query.filters, { key: 'dtypes', value: dtype }) }),
          valueOf: (key) => this.host.request('metadataValue', key),
          onCopy: (text) => void this.host.request('copy', text),
        }),
      );
    }
    this.#warnings.replaceChildren(...makeWarnings(view.warnings));
    if (view.actions !== undefined) this.#totals.showFile(view.actions);
    this.#toolbar.showFile(view);
    this.#toolbar.showDetails(this.#detailsState);
    // Rows that came along were asked for with the query that this page began with.
    const known = before === undefined && this.#active === undefined ? first : undefined;
    await this.#ask({}, this.#restore?.scrollTop ?? this.#table.scrollTop, known);
    const { active } = this.#restore ?? {};
    const index = this.#table.activeIndex;
    if (active !== undefined && index !== undefined) this.#selection.begin(index, tensorOf(active), this.#tensorsOf());
    this.#restore = undefined;
  }

  showConversion(view: ConversionView): void {
    this.#strip.showConversion(view);
  }

  dispose(): void {
    this.#asking.abort();
    this.#details.hide();
    this.#table.dispose();
  }

  /** Shows what the changed query means, once its first rows are here: until then the rows before stay. */
  async #ask(change: Partial<Query>, scrollTop?: number, known?: RowsReply): Promise<void> {
    const view = this.#view;
    if (view === undefined) return;
    const before = this.#query;
    const query = { ...before, ...change };
    // What a search finds is shown, wherever in the tree it is.
    if (change.search !== undefined && (change.search === '') !== (before.search === '')) {
      query.expansion = change.search === '' ? COLLAPSED : { groups: 'expanded', except: [] };
    }
    this.#query = query;
    this.#asking.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const { revision } = view;
    let asked = this.#active;
    const keepsPlace = change.search === undefined && change.filters === undefined;
    const answer = Promise.all([
      known ?? this.host.request('rows', { revision, query, start: 0, end: PAGE_ROWS }, asking.signal),
      this.#locate(revision, query),
    ]).catch((): [undefined, undefined] => [undefined, undefined]);
    // While the answer is on its way.
    this.#toolbar.showQuery(query);
    this.#totals.show(query.filters.actions);
    this.#header.show(query.order);
    const [reply, located] = await answer;
    let active = located;
    performance.mark('rows');
    // Whoever went on meanwhile is found where that is.
    while (asked !== this.#active && !asking.signal.aborted) {
      asked = this.#active;
      active = await this.#locate(revision, query).catch(() => undefined);
    }
    if (asking.signal.aborted || reply === undefined || this.#view !== view) return;
    this.#showReply(reply, { revision, query, active, scrollTop: scrollTop ?? (keepsPlace && active !== undefined ? undefined : 0) });
    if (scrollTop === undefined && keepsPlace && active !== undefined) this.#table.reveal(active);
    this.#save();
  }

  async #locate(revision: number, query: Query): Promise<number | undefined> {
    const row = this.#active;
    if (row === undefined) return undefined;
    const index = await this.host.request('locate', { revision, query, row });
    return index >= 0 ? index : undefined;
  }

  #showReply(
    reply: RowsReply,
    at: { readonly revision: number; readonly query: Query; readonly active: number | undefined; readonly scrollTop: number | undefined },
  ): void {
    const { revision, query, active, scrollTop } = at;
    this.#count = reply.count;
    this.#toolbar.showReply(reply);
    this.#table.root.setAttribute('role', query.form === 'tree' ? 'treegrid' : 'grid');
    const source = new RowSource<TableRow>(
      async (start, end, signal) => (await this.host.request('rows', { revision, query, start, end }, signal)).rows,
      () => {
        this.#table.refresh();
        this.#noteActive();
        this.#showDetails();
      },
      reply.rows,
    );
    if (active !== undefined) this.#selection.anchorAt(active);
    this.#table.show({
      source,
      count: reply.count,
      ...(active === undefined ? undefined : { active }),
      ...(scrollTop === undefined ? undefined : { scrollTop }),
    });
    this.#table.root.classList.toggle('empty', reply.count === 0);
    this.#showDetails();
  }

  #activate(index: number, { extend, toggle }: MoveKeys): void {
    const row = this.#table.row(index);
    this.#noteActive();
    this.#selection.step({ index, tensor: row && tensorOf(row), extend, toggle }, this.#tensorsOf());
    this.#showDetails();
    this.#save();
  }

  #noteActive(): void {
    const row = this.#table.activeRow;
    if (row !== undefined) this.#active = keyOf(row);
  }

  #tensorsOf(): TensorsOfRows {
    const revision = this.#view?.revision ?? 0;
    const query = this.#query;
    return (start, end) => this.host.request('tensors', { revision, query, start, end });
  }

  #open(row: TableRow): void {
    if (row.kind === 'group') this.#toggleGroup(row.path);
    else this.#setDetails('open');
  }

  #toggleGroup(path: string): void {
    const { groups, except } = this.#query.expansion;
    const next: Expansion = { groups, except: except.includes(path) ? except.filter((other) => other !== path) : [...except, path] };
    // The group itself stays where it is.
    const shown = async (): Promise<void> => {
      await this.#ask({ expansion: next }, this.#table.scrollTop);
      if (this.#table.activeIndex !== undefined) this.#table.reveal(this.#table.activeIndex);
      await this.#table.activeRowArrival();
    };
    this.#table.holdKeys(shown());
  }

  #onTwistie(event: MouseEvent): void {
    const twistie = event.target instanceof Element ? event.target.closest('.twistie') : null;
    const row = this.#table.activeRow;
    if (twistie !== null && row?.kind === 'group') this.#toggleGroup(row.path);
  }

  #onKey(event: KeyboardEvent, index: number): boolean {
    const row = this.#table.activeRow;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key === 'c') {
      if (document.getSelection()?.isCollapsed === false) return false;
      this.#actions.copy();
    } else if (command && event.key === 'a') this.#selection.all(this.#count, this.#tensorsOf());
    else if (event.key === ' ' && index >= 0) this.#table.activate(index, { extend: event.shiftKey, toggle: command });
    else if (event.key === 'Escape' && this.#detailsState === 'open') this.#setDetails('closed');
    else if (event.key === 'Escape' && this.#selection.tensors.size > 0) this.#selection.clear();
    else {
      const step = this.#query.form === 'tree' && row !== undefined ? treeKey(event.key, row) : undefined;
      switch (step) {
        case undefined:
          return false;
        case 'toggle':
          if (row?.kind === 'group') this.#toggleGroup(row.path);
          break;
        case 'enter':
          this.#table.activate(index + 1);
          break;
        case 'leave': {
          const around = rowAround(index, row?.depth ?? 0, (above) => this.#table.row(above));
          if (around !== undefined) this.#table.activate(around);
          break;
        }
      }
    }
    return true;
  }

  #enterTable(): void {
    this.#table.root.focus();
    if (this.#table.activeIndex === undefined) this.#table.activate(0);
  }

  /** About what is selected, where the row is part of it; else about the row. */
  #openMenu(index: number, at: MenuPlace): void {
    const row = this.#table.row(index);
    if (row === undefined) return;
    const isSelected = row.kind === 'tensor' && this.#selection.has(row.tensor);
    if (!isSelected) this.#table.activate(index);
    const selected = isSelected ? this.#selection.tensors.size : row.kind === 'group' ? row.tensors : 1;
    const entries = rowMenu(row, selected, {
      onCopy: () => this.#actions.copy(),
      onInspect: () => {
        this.#table.activate(index);
        this.#setDetails('open');
      },
      onHex: (tensor) => this.#actions.showHex(tensor),
      onToggle: (path) => this.#toggleGroup(path),
      onOverride: (action) => this.#actions.override(action),
    });
    openMenu(row.kind === 'group' ? row.label : row.name, entries, at);
  }

  #showSelection(): void {
    this.#table.refresh();
    const tensors = [...this.#selection.tensors];
    if (tensors.length === 0) {
      this.#selectionBar.show(undefined);
      return;
    }
    void this.#actions.request(async (revision) => {
      const selection = await this.host.request('selection', { revision, tensors });
      if (tensors.length === this.#selection.tensors.size) this.#selectionBar.show(selection);
    });
  }

  #setDetails(state: SavedState['details']): void {
    const hadFocus = this.#details.root.contains(document.activeElement);
    this.#detailsState = state;
    this.#toolbar.showDetails(state);
    if (state === 'closed') this.#details.hide();
    this.#showDetails();
    if (state === 'closed' && hadFocus) this.#table.root.focus();
    this.#save();
  }

  #showDetails(): void {
    const view = this.#view;
    if (this.#detailsState === 'closed' || view === undefined) return;
    const row = this.#table.activeRow;
    // A row that is on its way is waited for; a group has no values.
    if (row === undefined && this.#table.activeIndex !== undefined) return;
    this.#details.show(view, row?.kind === 'tensor' ? row : undefined);
  }

  /** At once, for the tab may be hidden next: whatever waits then is lost with the page. */
  #save(): void {
    this.#saving.now();
  }

  #saveState(): void {
    saveState({
      query: this.#query,
      scrollTop: this.#table.scrollTop,
      details: this.#detailsState,
      ...(this.#active === undefined ? undefined : { active: this.#active }),
    });
  }

  #complete(): void {
    if (this.#drawn || !this.root.isConnected) return;
    this.#drawn = true;
    performance.mark('first rows');
    void this.host.request('drawn', undefined);
  }
}

/** Whether only the plan differs: what is selected and open then stays. */
function isSameFile(before: InventoryView, after: InventoryView): boolean {
  return before.fileSize === after.fileSize && before.tensorCount === after.tensorCount && before.parameters === after.parameters;
}
