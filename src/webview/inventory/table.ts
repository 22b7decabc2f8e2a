/** The inventory's table: a grid of any length of which only the visible rows exist, driven by keyboard or pointer. */
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer, type Range } from '@tanstack/virtual-core';
import { element } from '../dom';
import type { Order } from '../protocol/views';
import { makeRow, rowId, type RowCells } from './columns';
import { destination } from './gridKeys';
import { makeHeaderRow, type HeaderRow } from './headerRow';
import type { RowSource } from './rowSource';

export const ROW_HEIGHT = 22;
export const HEADER_HEIGHT = 26;
/** Rows that exist beyond the visible ones, and rows that are fetched beyond them before they are needed. */
const OVERSCAN = 12;
const PREFETCH = 128;

export interface TableEvents {
  onSort(order: Order): void;
  /** The active row or the scroll position changed. */
  onMove(): void;
  onCopy(name: string): void;
  /** All rows on the screen have arrived. */
  onComplete(): void;
}

export class Table {
  readonly root: HTMLElement;
  readonly #header: HeaderRow;
  readonly #body: HTMLElement;
  readonly #rows = new Map<number, RowCells>();
  readonly #spare: RowCells[] = [];
  readonly #virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  readonly #unmount: () => void;
  #source: RowSource | undefined;
  #count = 0;
  #active = -1;

  constructor(private readonly events: TableEvents) {
    this.#header = makeHeaderRow((order) => events.onSort(order));
    this.#body = element('div', { class: 'rows', role: 'rowgroup' });
    this.root = element('div', { class: 'table', role: 'grid', aria: { label: 'Tensors', readonly: 'true', colcount: 5 } }, [
      element('div', { class: 'head', role: 'rowgroup' }, [this.#header.root]),
      this.#body,
    ]);
    this.root.tabIndex = 0;
    this.root.addEventListener('keydown', (event) => this.#onKey(event));
    this.#body.addEventListener('mousedown', (event) => this.#onPress(event));
    this.#virtualizer = new Virtualizer(this.#options());
    this.#unmount = this.#virtualizer._didMount();
  }

  get scrollTop(): number {
    return this.root.scrollTop;
  }

  get activeIndex(): number | undefined {
    return this.#active >= 0 ? this.#active : undefined;
  }

  /** The tensor of the active row, if the row is here. */
  get activeTensor(): number | undefined {
    return this.#source?.row(this.#active)?.tensor;
  }

  show(content: {
    readonly source: RowSource;
    readonly count: number;
    readonly order: Order;
    readonly active?: number;
    readonly scrollTop?: number;
  }): void {
    this.#source?.dispose();
    this.#source = content.source;
    this.#count = content.count;
    this.#active = Math.min(content.active ?? -1, content.count - 1);
    this.root.setAttribute('aria-rowcount', String(content.count + 1));
    this.#header.show(content.order);
    this.#virtualizer.setOptions(this.#options());
    this.#virtualizer._willUpdate();
    this.#draw();
    if (content.scrollTop !== undefined) this.root.scrollTop = content.scrollTop;
  }

  /** To be called after the table was put into the page, and when rows have arrived. */
  refresh(): void {
    this.#virtualizer._willUpdate();
    this.#draw();
  }

  reveal(index: number): void {
    this.#virtualizer.scrollToIndex(index, { align: 'auto' });
  }

  dispose(): void {
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
        this.#draw();
        this.events.onMove();
      },
    };
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
    this.#body.style.height = `${this.#count * ROW_HEIGHT}px`;
    const range = this.#virtualizer.range;
    if (range !== null) this.#source?.want(range.startIndex - PREFETCH, Math.min(this.#count, range.endIndex + 1 + PREFETCH));

    const shown = new Set(items.map((item) => item.index));
    for (const [index, row] of this.#rows) {
      if (shown.has(index)) continue;
      this.#rows.delete(index);
      this.#spare.push(row);
    }
    let complete = items.length > 0 || this.#count === 0;
    for (const index of shown) {
      let row = this.#rows.get(index);
      if (row === undefined) {
        row = this.#spare.pop() ?? makeRow();
        this.#rows.set(index, row);
        row.root.style.transform = `translateY(${index * ROW_HEIGHT}px)`;
        row.root.dataset['index'] = String(index);
        if (!row.root.isConnected) this.#body.append(row.root);
      }
      const view = this.#source?.row(index);
      complete &&= view !== undefined;
      row.show(index, view);
      row.root.setAttribute('aria-selected', String(index === this.#active));
    }
    for (const row of this.#spare.splice(0)) row.root.remove();
    if (this.#active >= 0) this.root.setAttribute('aria-activedescendant', rowId(this.#active));
    else this.root.removeAttribute('aria-activedescendant');
    if (complete) this.events.onComplete();
  }

  #activate(index: number): void {
    if (this.#count === 0) return;
    this.#active = Math.min(Math.max(index, 0), this.#count - 1);
    this.reveal(this.#active);
    this.#draw();
    this.events.onMove();
  }

  #onPress(event: MouseEvent): void {
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>('.row') : null;
    const index = Number(row?.dataset['index'] ?? Number.NaN);
    if (Number.isInteger(index)) this.#activate(index);
  }

  #onKey(event: KeyboardEvent): void {
    // The buttons in the header have their own keys.
    if (event.target !== this.root) return;
    if (event.key === 'c' && (event.ctrlKey || event.metaKey) && !event.shiftKey) {
      const row = this.#source?.row(this.#active);
      if (row === undefined || document.getSelection()?.isCollapsed === false) return;
      this.events.onCopy(row.name);
    } else {
      const page = Math.max(1, Math.floor((this.root.clientHeight - HEADER_HEIGHT) / ROW_HEIGHT) - 1);
      const next = destination(event.key, { active: this.#active, count: this.#count, page });
      if (next === undefined || event.altKey) return;
      this.#activate(next);
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
