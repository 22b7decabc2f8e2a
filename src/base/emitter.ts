/** Emitter: one typed event with any number of listeners. */
import type { Disposable } from './disposable';

export class Emitter<T> implements Disposable {
  private readonly listeners = new Set<(value: T) => void>();

  /** Subscribes; the returned disposable ends the subscription. */
  readonly event = (listener: (value: T) => void): Disposable => {
    // Wrapped, so that the same function subscribed twice has two subscriptions.
    const own = (value: T): void => listener(value);
    this.listeners.add(own);
    return { dispose: () => this.listeners.delete(own) };
  };

  fire(value: T): void {
    for (const listener of [...this.listeners]) listener(value);
  }

  dispose(): void {
    this.listeners.clear();
  }
}
