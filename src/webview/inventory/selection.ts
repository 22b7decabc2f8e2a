/** Selection: which tensors are selected, by mouse or keyboard, however many of them are on the screen. */

/** Tensors of rows `start` ≤ i < `end`. */
export type TensorsOfRows = (start: number, end: number) => Promise<readonly number[]>;

export interface SelectionStep {
  readonly index: number;
  /** The row's tensor, where the row is here and is no group. */
  readonly tensor: number | undefined;
  readonly extend: boolean;
  readonly toggle: boolean;
}

export class Selection {
  #tensors: ReadonlySet<number> = new Set();
  /** Where a range begins. */
  #anchor = 0;
  #latest = 0;
  #pending: Promise<void> | undefined;

  constructor(private readonly onChange: () => void) {}

  get tensors(): ReadonlySet<number> {
    return this.#tensors;
  }

  has(tensor: number): boolean {
    return this.#tensors.has(tensor);
  }

  /** What is selected once every step has been taken: which tensors a group has may still be on its way. */
  async settled(): Promise<readonly number[]> {
    for (let pending; pending !== this.#pending;) {
      pending = this.#pending;
      await pending;
    }
    return [...this.#tensors];
  }

  step(step: SelectionStep, tensorsOf: TensorsOfRows): void {
    this.#pending = this.#step(step, tensorsOf).catch(() => undefined);
  }

  all(count: number, tensorsOf: TensorsOfRows): void {
    this.#pending = this.#take(tensorsOf(0, count));
  }

  async #step({ index, tensor, extend, toggle }: SelectionStep, tensorsOf: TensorsOfRows): Promise<void> {
    if (extend) {
      const [first, last] = [Math.min(this.#anchor, index), Math.max(this.#anchor, index)];
      await this.#take(tensorsOf(first, last + 1));
      return;
    }
    this.#anchor = index;
    if (toggle) {
      const changed = tensor === undefined ? await tensorsOf(index, index + 1) : [tensor];
      const next = new Set(this.#tensors);
      const isIn = changed.every((one) => next.has(one));
      for (const one of changed) {
        if (isIn) next.delete(one);
        else next.add(one);
      }
      this.#set(next);
    } else if (tensor !== undefined) {
      this.#set(new Set([tensor]));
    } else {
      await this.#take(tensorsOf(index, index + 1));
    }
  }

  clear(): void {
    if (this.#tensors.size > 0) this.#set(new Set());
  }

  /** Where nothing is selected, as after a reload, the active row is. */
  begin(index: number, tensor: number | undefined, tensorsOf: TensorsOfRows): void {
    if (this.#tensors.size === 0) this.step({ index, tensor, extend: false, toggle: false }, tensorsOf);
  }

  /** For a table whose rows stand elsewhere now. */
  anchorAt(index: number): void {
    this.#anchor = index;
  }

  /** Of several answers on their way the latest question's counts. */
  async #take(tensors: Promise<readonly number[]>): Promise<void> {
    const latest = ++this.#latest;
    const found = await tensors.catch(() => []);
    if (latest === this.#latest) this.#set(new Set(found));
  }

  #set(tensors: ReadonlySet<number>): void {
    this.#latest++;
    this.#tensors = tensors;
    this.onChange();
  }
}
