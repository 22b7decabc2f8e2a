/** Devices: what can compute here, asked of the engine once it is needed, and again when something may have changed. */
import { Observable, type ReadonlyObservable } from '../../base/observable';
import type { QuantizerDevice } from '../../engine/job/quantizer';

export interface DeviceLister {
  devices(): Promise<readonly QuantizerDevice[]>;
}

export class Devices {
  readonly #list = new Observable<readonly QuantizerDevice[]>([]);
  #asked: Promise<void> | undefined;

  constructor(private readonly engine: DeviceLister) {}

  get list(): ReadonlyObservable<readonly QuantizerDevice[]> {
    return this.#list;
  }

  /** Asks the engine unless that was done. */
  ensure(): void {
    this.#asked ??= this.#ask();
  }

  /** Free memory is another one after every job. */
  refresh(): void {
    if (this.#asked === undefined) return;
    this.#asked = this.#asked.then(() => this.#ask());
  }

  /** The device that `auto` or `cuda` stands for, as the engine will choose; itself where nothing is known. */
  resolve(wanted: string): string {
    const [gpu] = this.#list.value
      .filter(({ kind, available }) => kind === 'cuda' && available)
      .sort((a, b) => (b.freeMemoryBytes ?? 0) - (a.freeMemoryBytes ?? 0));
    if (wanted === 'auto') return gpu?.id ?? 'cpu';
    return wanted === 'cuda' ? (gpu?.id ?? 'cuda:0') : wanted;
  }

  async #ask(): Promise<void> {
    // Why there is none is told by the conversion itself.
    this.#list.value = await this.engine.devices().catch(() => []);
  }
}
