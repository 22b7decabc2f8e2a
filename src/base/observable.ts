/** Observable: a value that others follow. Whoever is slow gets the newest value and misses those in between. */
import type { Disposable } from './disposable';

export interface ReadonlyObservable<T> {
  readonly value: T;
  onChange(listener: (value: T) => void): Disposable;
  /** The value now and every later one, until the signal aborts. */
  values(signal: AbortSignal): AsyncGenerator<T, void, undefined>;
}

export class Observable<T> implements ReadonlyObservable<T> {
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  set value(value: T) {
    this.#value = value;
    for (const listener of [...this.#listeners]) listener(value);
  }

  onChange(listener: (value: T) => void): Disposable {
    // Wrapped, so that the same function subscribed twice has two subscriptions.
    const own = (value: T): void => listener(value);
    this.#listeners.add(own);
    return { dispose: () => this.#listeners.delete(own) };
  }

  async *values(signal: AbortSignal): AsyncGenerator<T, void, undefined> {
    let fresh = true;
    let wake: () => void = () => undefined;
    const subscription = this.onChange(() => {
      fresh = true;
      wake();
    });
    const stop = (): void => wake();
    signal.addEventListener('abort', stop);
    try {
      while (!signal.aborted) {
        if (fresh) {
          fresh = false;
          yield this.#value;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      subscription.dispose();
    }
  }
}

/** Once at the beginning, and after every change of any of them. */
export async function* changes(
  observables: readonly ReadonlyObservable<unknown>[],
  signal: AbortSignal,
): AsyncGenerator<void, void, undefined> {
  const any = new Observable<undefined>(undefined);
  const subscriptions = observables.map((observable) => observable.onChange(() => (any.value = undefined)));
  try {
    for await (const _ of any.values(signal)) yield;
  } finally {
    for (const subscription of subscriptions) subscription.dispose();
  }
}
