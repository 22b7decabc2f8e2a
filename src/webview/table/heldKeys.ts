/** HeldKeys: keys that are pressed while the rows that they mean are on their way. They wait for them, then do what they do, in their order. Pure. */

export class HeldKeys<Key> {
  readonly #waiting: Key[] = [];
  /** The last that was held for. */
  #until: Promise<void> | undefined;

  constructor(private readonly press: (key: Key) => void) {}

  hold(until: Promise<void>): void {
    this.#until = until;
    const release = (): void => {
      if (this.#until !== until) return;
      this.#until = undefined;
      this.#pressWaiting();
    };
    until.then(release, release);
  }

  /** Whether the key waits; else it means what is shown now. */
  take(key: Key): boolean {
    if (this.#until === undefined) return false;
    this.#waiting.push(key);
    return true;
  }

  /** Until one of them is held for itself. */
  #pressWaiting(): void {
    while (this.#until === undefined) {
      const key = this.#waiting.shift();
      if (key === undefined) return;
      this.press(key);
    }
  }
}
