/** AsyncQueue: turns callbacks into an async iterable for one consumer; pushing never waits and keeps the order. */
export class AsyncQueue<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #ending: { readonly error?: unknown } | undefined;
  #wake: () => void = () => undefined;

  get ended(): boolean {
    return this.#ending !== undefined;
  }

  /** Ignored after the end. */
  push(item: T): void {
    if (this.#ending !== undefined) return;
    this.#items.push(item);
    this.#wake();
  }

  /** The consumer still gets what was pushed before. Only the first end counts. */
  end(): void {
    this.#finish({});
  }

  /** Like `end`, and then the consumer's iteration throws `error`. */
  fail(error: unknown): void {
    this.#finish({ error });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const batch = this.#items;
      this.#items = [];
      yield* batch;
      if (this.#items.length > 0) continue;
      if (this.#ending !== undefined) {
        if ('error' in this.#ending) throw this.#ending.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #finish(ending: { readonly error?: unknown }): void {
    this.#ending ??= ending;
    this.#wake();
  }
}
