/** ProgressMeter: what is done of a job, how fast it goes, and when it ends, from estimated work and measured time. */
import type { JobProgress } from './jobEvent';

export interface MeteredTask {
  readonly name: string;
  /** Estimated, in any unit. */
  readonly work: number;
  /** Of the source. */
  readonly bytes: number;
}

/** Rates forget what is older than a few of these. */
const SMOOTHING_SECONDS = 5;
const SECONDS_BEFORE_EXTRAPOLATION = 0.5;

export class ProgressMeter {
  readonly #running = new Map<number, { readonly task: MeteredTask; fraction: number }>();
  readonly #startedAt: number;
  readonly #workRate = new SmoothedRate();
  readonly #byteRate = new SmoothedRate();
  #workTotal = 0;
  #bytesTotal = 0;
  #workFinished = 0;
  #bytesFinished = 0;
  #tensorsFinished = 0;
  #fraction = 0;

  /** `now` is a clock in seconds. */
  constructor(
    private readonly tasks: ReadonlyMap<number, MeteredTask>,
    private readonly now: () => number = () => performance.now() / 1000,
  ) {
    for (const { work, bytes } of tasks.values()) {
      this.#workTotal += work;
      this.#bytesTotal += bytes;
    }
    this.#startedAt = this.now();
  }

  started(id: number): void {
    const task = this.tasks.get(id);
    if (task !== undefined) this.#running.set(id, { task, fraction: 0 });
  }

  /** `fraction` of one task, 0–1. */
  advanced(id: number, fraction: number): void {
    const running = this.#running.get(id);
    if (running !== undefined) running.fraction = Math.max(running.fraction, Math.min(1, fraction));
  }

  finished(id: number): void {
    const task = this.tasks.get(id);
    if (task === undefined) return;
    this.#running.delete(id);
    this.#workFinished += task.work;
    this.#bytesFinished += task.bytes;
    this.#tensorsFinished += 1;
  }

  /** Work that turned out to be needed as well. */
  extend(work: number): void {
    this.#workTotal += work;
  }

  snapshot(): JobProgress {
    const elapsedSeconds = this.now() - this.#startedAt;
    let work = this.#workFinished;
    let bytes = this.#bytesFinished;
    for (const { task, fraction } of this.#running.values()) {
      work += task.work * fraction;
      bytes += task.bytes * fraction;
    }
    this.#workRate.add(work, elapsedSeconds);
    this.#byteRate.add(bytes, elapsedSeconds);
    // Work that was added later must not move a bar backwards.
    this.#fraction = Math.max(this.#fraction, this.#workTotal === 0 ? 0 : Math.min(1, work / this.#workTotal));
    const workRate = this.#workRate.perSecond;
    const known = elapsedSeconds >= SECONDS_BEFORE_EXTRAPOLATION && workRate > 0;
    return {
      type: 'progress',
      fraction: this.#fraction,
      bytesDone: Math.round(bytes),
      bytesTotal: this.#bytesTotal,
      bytesPerSecond: this.#byteRate.perSecond,
      elapsedSeconds,
      ...(known ? { remainingSeconds: Math.max(0, this.#workTotal - work) / workRate } : {}),
      tensorsDone: this.#tensorsFinished,
      tensorsTotal: this.tasks.size,
      current: [...this.#running.values()].map(({ task }) => task.name),
    };
  }
}

/** An exponentially weighted mean over time; until there is a past to forget it is the plain mean. */
class SmoothedRate {
  #amount = 0;
  #seconds = 0;
  #lastTotal = 0;
  #lastTime = 0;

  add(total: number, time: number): void {
    const seconds = time - this.#lastTime;
    if (seconds <= 0) return;
    const remembered = Math.exp(-seconds / SMOOTHING_SECONDS);
    this.#amount = this.#amount * remembered + Math.max(0, total - this.#lastTotal);
    this.#seconds = this.#seconds * remembered + seconds;
    this.#lastTotal = total;
    this.#lastTime = time;
  }

  get perSecond(): number {
    return this.#seconds === 0 ? 0 : this.#amount / this.#seconds;
  }
}
