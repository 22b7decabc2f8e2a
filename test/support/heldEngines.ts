/** HeldEngines: engine processes that are stopped in the middle of what they do, and go on later. */
import { setTimeout as sleep } from 'node:timers/promises';
import { signalled } from './processes';
import type { Engines } from './scenario';

const LIMIT_MILLISECONDS = 120_000;

export class HeldEngines implements Engines, AsyncDisposable {
  readonly #held = new Set<number>();

  constructor(private readonly running: () => Promise<readonly number[]>) {}

  async hold(): Promise<void> {
    const deadline = Date.now() + LIMIT_MILLISECONDS;
    for (;;) {
      const stopped = (await this.running()).filter((id) => signalled(id, 'SIGSTOP'));
      for (const id of stopped) this.#held.add(id);
      if (stopped.length > 0) return;
      if (Date.now() > deadline) throw new Error('No engine process runs.');
      await sleep(20);
    }
  }

  release(): Promise<void> {
    for (const id of this.#held) signalled(id, 'SIGCONT');
    this.#held.clear();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}
