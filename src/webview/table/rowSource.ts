/** RowSource: the rows that are on the screen or about to be, fetched in pages and forgotten again. */

import { FIRST_ROWS } from '../protocol/inventoryApi';

export const PAGE_ROWS = FIRST_ROWS;
/** About a screen in each direction, whatever the table's length. */
const KEPT_PAGES = 16;

export class RowSource<Row> {
  /** In the order of their last use. A page on its way has no rows yet. */
  readonly #pages = new Map<number, readonly Row[] | undefined>();
  readonly #abort = new AbortController();
  /** To be called when a page has arrived, or will not. */
  readonly #waiting: (() => void)[] = [];

  /** `first`: the rows of the first page, where they are known already. */
  constructor(
    private readonly fetchRows: (start: number, end: number, signal: AbortSignal) => Promise<readonly Row[]>,
    private readonly onRows: () => void,
    first?: readonly Row[],
  ) {
    if (first !== undefined) this.#pages.set(0, first);
  }

  row(index: number): Row | undefined {
    return this.#pages.get(Math.floor(index / PAGE_ROWS))?.[index % PAGE_ROWS];
  }

  /** Makes rows `start` ≤ i < `end` arrive, if they are not here. */
  want(start: number, end: number): void {
    for (let page = Math.floor(Math.max(0, start) / PAGE_ROWS); page * PAGE_ROWS < end; page++) {
      if (this.#pages.has(page)) {
        const rows = this.#pages.get(page);
        this.#pages.delete(page);
        this.#pages.set(page, rows);
      } else {
        this.#pages.set(page, undefined);
        void this.#load(page);
      }
    }
    for (const page of this.#pages.keys()) {
      if (this.#pages.size <= KEPT_PAGES) break;
      this.#pages.delete(page);
    }
  }

  /** Resolves once the row is here, if it is on its way. */
  async arrival(index: number): Promise<void> {
    const page = Math.floor(index / PAGE_ROWS);
    while (this.#pages.has(page) && this.#pages.get(page) === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** After this no row arrives. */
  dispose(): void {
    this.#abort.abort();
    this.#pages.clear();
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #load(page: number): Promise<void> {
    const start = page * PAGE_ROWS;
    // A page that fails to arrive is asked for again by the next look at it.
    const rows = await this.fetchRows(start, start + PAGE_ROWS, this.#abort.signal).catch(() => undefined);
    if (this.#abort.signal.aborted || !this.#pages.has(page)) return;
    if (rows === undefined) {
      this.#pages.delete(page);
    } else {
      this.#pages.set(page, rows);
      this.onRows();
    }
    this.#wake();
  }
}
