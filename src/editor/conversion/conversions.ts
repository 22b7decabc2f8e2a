/** Conversions: every conversion of this window, by its source. Those on one device run one after another, and none needs an open editor. */
import { Observable, type ReadonlyObservable } from '../../base/observable';
import type { ConvertRequest } from '../../engine/job/convertRequest';
import type { JobEvent } from '../../engine/job/jobEvent';
import { afterEvent, IDLE, isOutcome, type ConversionOutcome, type ConversionState } from './conversionState';

/** The part of the engine that conversions need. */
export interface Converter {
  convert(request: ConvertRequest, signal: AbortSignal): AsyncIterable<JobEvent>;
}

interface Entry {
  readonly state: Observable<ConversionState>;
  abort: AbortController | undefined;
}

export class Conversions {
  readonly #entries = new Map<string, Entry>();
  /** On each device, the end of the last conversion that was asked for and has not ended. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor(
    private readonly converter: Converter,
    private readonly onEvent: (source: string, event: JobEvent) => void,
    private readonly onActiveChange: () => void = () => undefined,
    /** The device that a request will run on, e.g. of `auto`. */
    private readonly deviceOf: (request: ConvertRequest) => string = ({ device }) => device,
  ) {}

  of(source: string): ReadonlyObservable<ConversionState> {
    return this.#entry(source).state;
  }

  /** The sources of the conversions that run or wait, in the order they were asked for. */
  get active(): readonly string[] {
    return [...this.#entries].filter(([, { abort }]) => abort !== undefined).map(([source]) => source);
  }

  isActive(source: string): boolean {
    return this.#entry(source).abort !== undefined;
  }

  /** Whether an active conversion writes this file. */
  writes(output: string): boolean {
    return [...this.#entries.values()].some(
      ({ abort, state }) => abort !== undefined && 'output' in state.value && state.value.output === output,
    );
  }

  /** Resolves with how it ended; there must be no active conversion of the same source. */
  async start(request: ConvertRequest): Promise<ConversionOutcome> {
    const entry = this.#entry(request.source);
    if (entry.abort !== undefined) throw new Error(`${request.source} is already being converted`);
    const abort = new AbortController();
    entry.abort = abort;
    const device = this.deviceOf(request);
    const before = this.#last.get(device);
    const { output } = request;
    entry.state.value = before === undefined ? { phase: 'running', output, finished: [] } : { phase: 'queued', output };
    this.onActiveChange();
    const ended = (async () => {
      if (before !== undefined) await Promise.race([before, aborted(abort.signal)]);
      return this.#run(request, entry.state, abort.signal);
    })();
    // One that is cancelled in the queue must not let the next one pass those before it.
    const last = Promise.allSettled([before, ended]);
    this.#last.set(device, last);
    try {
      return await ended;
    } finally {
      void last.then(() => {
        if (this.#last.get(device) === last) this.#last.delete(device);
      });
      entry.abort = undefined;
      this.onActiveChange();
    }
  }

  cancel(source: string): void {
    this.#entries.get(source)?.abort?.abort();
  }

  /** Forgets how the last conversion of a source ended: it says nothing of the file as it is now. */
  forgetOutcome(source: string): void {
    const entry = this.#entries.get(source);
    if (entry !== undefined && entry.abort === undefined && (isOutcome(entry.state.value) || entry.state.value.phase === 'interrupted')) {
      entry.state.value = IDLE;
    }
  }

  /** Shows that a conversion of this source was cut off, unless another one has begun. */
  interrupted(source: string, output: string, leftBehind: readonly string[]): void {
    const entry = this.#entry(source);
    if (entry.abort === undefined && entry.state.value.phase === 'idle') entry.state.value = { phase: 'interrupted', output, leftBehind };
  }

  async #run(request: ConvertRequest, state: Observable<ConversionState>, signal: AbortSignal): Promise<ConversionOutcome> {
    const { source, output } = request;
    if (!signal.aborted) {
      state.value = { phase: 'running', output, finished: [] };
      for await (const event of this.converter.convert(request, signal)) {
        const next = afterEvent(state.value, output, event);
        if (next !== state.value) state.value = next;
        // Afterwards: whoever hears of it may look at the state.
        this.onEvent(source, event);
        if (isOutcome(next)) return next;
      }
    }
    const outcome: ConversionOutcome = signal.aborted
      ? { phase: 'cancelled', output }
      : { phase: 'failed', output, error: { code: 'Internal', message: 'The engine ended the conversion without a result.' } };
    state.value = outcome;
    return outcome;
  }

  #entry(source: string): Entry {
    let entry = this.#entries.get(source);
    if (entry === undefined) {
      entry = { state: new Observable<ConversionState>(IDLE), abort: undefined };
      this.#entries.set(source, entry);
    }
    return entry;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
