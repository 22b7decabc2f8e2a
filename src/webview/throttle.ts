/** Throttle: does something now and then while it is asked for all the time, and at the end. */

const INTERVAL_MILLISECONDS = 120;

export class Throttle {
  #timer: number | undefined;

  constructor(private readonly act: () => void) {}

  now(): void {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.act();
  }

  soon(): void {
    this.#timer ??= window.setTimeout(() => this.now(), INTERVAL_MILLISECONDS);
  }
}
