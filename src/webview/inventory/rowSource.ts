/** RowSource: the rows that are on the screen or about to be, fetched in pages and forgotten again. */
import type { RowView } from '../protocol/views';

const PAGE_ROWS = 128;
/** About a screen in each direction, whatever the table's length. */
const KEPT_PAGES = 8;

export class RowSource {
  /** In the order of their last use. A page on its way has no rows yet. */
  readonly #pages = new Map<number, readonly RowView[] | undefined>();
  readonly #abort = new AbortController();

  constructor(
    private readonly fetchRows: (start: number, end: number, signal: AbortSignal) => Promise<readonly RowView[]>,
    private readonly onRows: () => void,
  ) {}

  row(index: number): RowView | undefined {
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

  /** After this no row arrives. */
  dispose(): void {
    this.#abort.abort();
    this.#pages.clear();
  }

  async #load(page: number): Promise<void> {
    try {
      const rows = await this.fetchRows(page * PAGE_ROWS, (page + 1) * PAGE_ROWS, this.#abort.signal);
      if (this.#abort.signal.aborted || !this.#pages.has(page)) return;
      this.#pages.set(page, rows);
      this.onRows();
    } catch {
      // The next look at these rows asks again.
      this.#pages.delete(page);
    }
  }
}
