/** VirtualTable: a grid of any length of which only the visible rows exist, driven by keyboard or pointer. */
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer, type Range } from '@tanstack/virtual-core';
import { element } from '../dom';
import { destination, meansRow } from './gridKeys';
import { HeldKeys } from './heldKeys';
import type { RowSource } from './rowSource';

const ROW_HEIGHT = 22;
const HEADER_HEIGHT = 26;
/** Rows that exist beyond the visible ones, and rows that are fetched beyond them before they are needed. */
const OVERSCAN = 6;
const PREFETCH = 256;
/** What comes in this time after new contents were shown is more urgent than rows that nobody sees yet. */
const PREFETCH_DELAY_MILLISECONDS = 100;
const MENU_INDENT = 24;

/** One recyclable row. */
export interface RowCells<Row> {
  readonly root: HTMLElement;
  show(row: Row | undefined): void;
}

export interface TableParts<Row> {
  readonly label: string;
  readonly columns: number;
  readonly header: HTMLElement;
  makeRow(): RowCells<Row>;
}

export interface MoveKeys {
  /** From where the last one was to here. */
  readonly extend: boolean;
  readonly toggle: boolean;
}

export interface TableEvents<Row> {
  /** The active row is another one, or was pressed again. */
  onActivate(index: number, keys: MoveKeys): void;
  /** The scroll position changed. */
  onScroll(): void;
  /** Enter or a double click. */
  onOpen(index: number, row: Row): void;
  /** The context menu of a row is asked for, by the other button or by keyboard, at a place in the page. */
  onMenu(index: number, at: { readonly x: number; readonly y: number }): void;
  /** Any key that does not move; whether it meant something. */
  onKey(event: KeyboardEvent, index: number): boolean;
  isSelected(index: number, row: Row): boolean;
  /** All rows on the screen have arrived. */
  onComplete(): void;
}

export interface TableContent<Row> {
  readonly source: RowSource<Row>;
  readonly count: number;
  readonly active?: number;
  readonly scrollTop?: number;
}

/** A row of the page and what it shows: while one scrolls, almost none changes. */
interface ShownRow<Row> {
  readonly cells: RowCells<Row>;
  row: Row | undefined | 'nothing yet';
  state: string;
}

export class VirtualTable<Row> {
  readonly root: HTMLElement;
  readonly #body: HTMLElement;
  readonly #rows = new Map<number, ShownRow<Row>>();
  readonly #spare: ShownRow<Row>[] = [];
  readonly #virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  readonly #unmount: () => void;
  readonly #idPrefix: string;
  #source: RowSource<Row> | undefined;
  #count = 0;
  #active = -1;
  /** Rows that are fetched in each direction beyond the visible ones. */
  #ahead = 0;
  #prefetching: number | undefined;
  readonly #held = new HeldKeys<KeyboardEvent>((event) => this.#press(event));

  constructor(
    private readonly parts: TableParts<Row>,
    private readonly events: TableEvents<Row>,
  ) {
    this.#idPrefix = parts.label.toLowerCase().replace(/\W+/g, '-');
    this.#body = element('div', { class: 'rows', role: 'rowgroup' });
    const aria = { label: parts.label, readonly: 'true', multiselectable: 'true', colcount: parts.columns };
    this.root = element('div', { class: 'table', role: 'grid', aria }, [
      element('div', { class: 'head', role: 'rowgroup' }, [parts.header]),
      this.#body,
    ]);
    this.root.tabIndex = 0;
    this.root.addEventListener('keydown', (event) => this.#onKey(event));
    this.#body.addEventListener('mousedown', (event) => this.#onPress(event));
    this.#body.addEventListener('contextmenu', (event) => this.#onMenu(event));
    this.#body.addEventListener('dblclick', (event) => this.#open(this.#indexAt(event)));
    this.#virtualizer = new Virtualizer(this.#options());
    this.#unmount = this.#virtualizer._didMount();
  }

  get scrollTop(): number {
    return this.root.scrollTop;
  }

  get activeIndex(): number | undefined {
    return this.#active >= 0 ? this.#active : undefined;
  }

  /** The active row, if it is here. */
  get activeRow(): Row | undefined {
    return this.#source?.row(this.#active);
  }

  row(index: number): Row | undefined {
    return this.#source?.row(index);
  }

  /** Resolves once the active row is here, if it is on its way. */
  async activeRowArrival(): Promise<void> {
    await this.#source?.arrival(this.#active);
  }

  show(content: TableContent<Row>): void {
    if (this.#source !== content.source) {
      this.#source?.dispose();
      this.#ahead = OVERSCAN;
      window.clearTimeout(this.#prefetching);
      this.#prefetching = window.setTimeout(() => this.#prefetch(), PREFETCH_DELAY_MILLISECONDS);
    }
    this.#source = content.source;
    this.#count = content.count;
    this.#active = Math.min(content.active ?? -1, content.count - 1);
    this.root.setAttribute('aria-rowcount', String(content.count + 1));
    this.#virtualizer.setOptions(this.#options());
    this.#virtualizer._willUpdate();
    this.#draw();
    if (content.scrollTop !== undefined) this.root.scrollTop = content.scrollTop;
  }

  /** To be called after the table was put into the page, and when rows have arrived or are selected. */
  refresh(): void {
    this.#virtualizer._willUpdate();
    this.#draw();
  }

  reveal(index: number): void {
    this.#virtualizer.scrollToIndex(index, { align: 'auto' });
  }

  activate(index: number, keys: MoveKeys = { extend: false, toggle: false }): void {
    if (this.#count === 0) return;
    this.#active = Math.min(Math.max(index, 0), this.#count - 1);
    this.reveal(this.#active);
    this.events.onActivate(this.#active, keys);
    this.#draw();
  }

  /** Keys that mean rows which are on their way wait for them. */
  holdKeys(shown: Promise<void>): void {
    this.#held.hold(shown);
  }

  dispose(): void {
    window.clearTimeout(this.#prefetching);
    this.#source?.dispose();
    this.#unmount();
  }

  #options(): ConstructorParameters<typeof Virtualizer<HTMLElement, HTMLElement>>[0] {
    return {
      count: this.#count,
      getScrollElement: () => this.root,
      estimateSize: () => ROW_HEIGHT,
      overscan: OVERSCAN,
      scrollMargin: HEADER_HEIGHT,
      scrollPaddingStart: HEADER_HEIGHT,
      observeElementRect,
      observeElementOffset,
      scrollToFn: elementScroll,
      rangeExtractor: (range) => this.#indexes(range),
      onChange: () => {
        this.#ahead = PREFETCH;
        this.#draw();
        this.events.onScroll();
      },
    };
  }

  #prefetch(): void {
    this.#ahead = PREFETCH;
    this.#draw();
  }

  /** The active row always exists, so that assistive technology can name it while it is scrolled away. */
  #indexes(range: Range): number[] {
    const first = Math.max(0, range.startIndex - range.overscan);
    const last = Math.min(range.count - 1, range.endIndex + range.overscan);
    const indexes = Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
    if (this.#active >= 0 && (this.#active < first || this.#active > last)) indexes.push(this.#active);
    return indexes;
  }

  #draw(): void {
    const items = this.#virtualizer.getVirtualItems();
    const height = `${this.#count * ROW_HEIGHT}px`;
    if (this.#body.style.height !== height) this.#body.style.height = height;
    const range = this.#virtualizer.range;
    if (range !== null) this.#source?.want(range.startIndex - this.#ahead, Math.min(this.#count, range.endIndex + 1 + this.#ahead));

    const shown = new Set(items.map((item) => item.index));
    for (const [index, row] of this.#rows) {
      if (shown.has(index)) continue;
      this.#rows.delete(index);
      this.#spare.push(row);
    }
    let complete = items.length > 0 || this.#count === 0;
    for (const index of shown) {
      const row = this.#source?.row(index);
      complete &&= row !== undefined;
      this.#showRow(index, row);
    }
    for (const { cells } of this.#spare.splice(0)) cells.root.remove();
    if (this.#active >= 0) this.root.setAttribute('aria-activedescendant', this.#rowId(this.#active));
    else this.root.removeAttribute('aria-activedescendant');
    if (complete) this.events.onComplete();
  }

  #showRow(index: number, row: Row | undefined): void {
    const shown = this.#rowAt(index);
    const { root } = shown.cells;
    if (shown.row !== row) {
      shown.row = row;
      shown.cells.show(row);
      root.classList.toggle('loading', row === undefined);
    }
    const isSelected = row !== undefined && this.events.isSelected(index, row);
    const state = `${index === this.#active} ${isSelected}`;
    if (shown.state === state) return;
    shown.state = state;
    root.classList.toggle('active', index === this.#active);
    root.setAttribute('aria-selected', String(isSelected));
  }

  #rowAt(index: number): ShownRow<Row> {
    const known = this.#rows.get(index);
    if (known !== undefined) return known;
    const shown = this.#spare.pop() ?? { cells: this.parts.makeRow(), row: 'nothing yet', state: '' };
    const { root } = shown.cells;
    this.#rows.set(index, shown);
    root.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
    root.dataset['index'] = String(index);
    root.id = this.#rowId(index);
    // The header row is row 1.
    root.setAttribute('aria-rowindex', String(index + 2));
    if (!root.isConnected) this.#body.append(root);
    return shown;
  }

  #rowId(index: number): string {
    return `${this.#idPrefix}-row-${index}`;
  }

  #indexAt(event: MouseEvent): number {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>('.row') : null;
    return Number(row?.dataset['index'] ?? Number.NaN);
  }

  #onPress(event: MouseEvent): void {
    const index = this.#indexAt(event);
    // The other buttons open menus, which are about what is selected.
    if (!Number.isInteger(index) || event.button !== 0) return;
    if (event.shiftKey) event.preventDefault();
    this.root.focus({ preventScroll: true });
    this.activate(index, { extend: event.shiftKey, toggle: event.ctrlKey || event.metaKey });
  }

  #onMenu(event: MouseEvent): void {
    const index = this.#indexAt(event);
    if (!Number.isInteger(index)) return;
    event.preventDefault();
    this.root.focus({ preventScroll: true });
    this.events.onMenu(index, { x: event.clientX, y: event.clientY });
  }

  /** Below the active row, where the eyes are. */
  #menuAtActiveRow(): void {
    const row = this.#rows.get(this.#active)?.cells.root;
    if (row === undefined) return;
    this.reveal(this.#active);
    const { left, bottom } = row.getBoundingClientRect();
    this.events.onMenu(this.#active, { x: left + MENU_INDENT, y: bottom });
  }

  #open(index: number): void {
    const row = this.#source?.row(index);
    if (row !== undefined) this.events.onOpen(index, row);
  }

  #onKey(event: KeyboardEvent): void {
    // The buttons in the header have their own keys.
    if (event.target !== this.root || event.altKey) return;
    const isHeld = meansRow(event) && this.#held.take(event);
    if (!isHeld && !this.#press(event)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Whether the key means something. */
  #press(event: KeyboardEvent): boolean {
    const page = Math.max(1, Math.floor((this.root.clientHeight - HEADER_HEIGHT) / ROW_HEIGHT) - 1);
    const next = destination(event.key, { active: this.#active, count: this.#count, page });
    if (next !== undefined) this.activate(next, { extend: event.shiftKey, toggle: false });
    else if (event.key === 'Enter' && this.#active >= 0) this.#open(this.#active);
    else if (event.key === 'ContextMenu' || (event.key === 'F10' && event.shiftKey)) this.#menuAtActiveRow();
    else return this.events.onKey(event, this.#active);
    return true;
  }
}
