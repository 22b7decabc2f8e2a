/** Comparison: one comparison of two files, from its start to its end: the rows as they become known, and how far it is. */
import { basename } from 'node:path';
import { Observable, type ReadonlyObservable } from '../../base/observable';
import type { ComparedTensor, CompareEvent, CompareRequest } from '../../engine/inspect/compareEvent';
import type { ComparisonPhase, ComparisonView, CompareStateName } from '../../webview/protocol/comparisonApi';

/** The part of the engine that compares. */
export interface Comparer {
  compare(request: CompareRequest, signal: AbortSignal): AsyncIterable<CompareEvent>;
}

const VIEW_INTERVAL_MILLISECONDS = 200;

export class Comparison {
  readonly #view: Observable<ComparisonView>;
  #tensors: ComparedTensor[] = [];
  #abort = new AbortController();
  #phase: ComparisonPhase = { phase: 'running', fraction: 0, bytesPerSecond: 0 };
  #shownAt = -Infinity;

  constructor(
    private readonly comparer: Comparer,
    private request: CompareRequest,
  ) {
    this.#view = new Observable(this.#makeView(0));
  }

  get view(): ReadonlyObservable<ComparisonView> {
    return this.#view;
  }

  get tensors(): readonly ComparedTensor[] {
    return this.#tensors;
  }

  get files(): CompareRequest {
    return this.request;
  }

  /** From the beginning; what runs is cancelled. Resolves at the end. */
  async run(): Promise<void> {
    this.#abort.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#tensors = [];
    this.#show({ phase: 'running', fraction: 0, bytesPerSecond: 0 });
    for await (const event of this.comparer.compare(this.request, abort.signal)) {
      if (this.#abort !== abort) return;
      this.#take(event);
    }
  }

  async swap(): Promise<void> {
    const { reference, other, threads } = this.request;
    this.request = { reference: other, other: reference, threads };
    await this.run();
  }

  cancel(): void {
    this.#abort.abort();
  }

  #take(event: CompareEvent): void {
    switch (event.type) {
      case 'paired':
        this.#tensors = [...event.tensors];
        this.#show(this.#phase);
        break;
      case 'tensor':
        this.#tensors[event.index] = event.tensor;
        break;
      case 'progress': {
        const { fraction, bytesPerSecond, remainingSeconds } = event;
        const remaining = remainingSeconds === undefined ? {} : { remainingSeconds };
        this.#phase = { phase: 'running', fraction, bytesPerSecond, ...remaining };
        if (performance.now() - this.#shownAt > VIEW_INTERVAL_MILLISECONDS) this.#show(this.#phase);
        break;
      }
      case 'done':
        this.#show({ phase: 'done', relativeError: event.relativeError, of: event.of, seconds: event.seconds });
        break;
      case 'failed':
        this.#show({ phase: 'failed', message: event.error.message });
        break;
      case 'cancelled':
        this.#show({ phase: 'cancelled' });
        break;
    }
  }

  #show(phase: ComparisonPhase): void {
    this.#phase = phase;
    this.#shownAt = performance.now();
    this.#view.value = this.#makeView(this.#view.value.revision + 1);
  }

  #makeView(revision: number): ComparisonView {
    const counts: Record<CompareStateName, number> = {
      added: 0,
      removed: 0,
      reshaped: 0,
      changed: 0,
      equal: 0,
      incomparable: 0,
      pending: 0,
    };
    for (const { state } of this.#tensors) counts[state] += 1;
    const file = (path: string) => ({ fileName: basename(path), path });
    const { reference, other } = this.request;
    return { revision, reference: file(reference), other: file(other), phase: this.#phase, tensors: this.#tensors.length, counts };
  }
}
