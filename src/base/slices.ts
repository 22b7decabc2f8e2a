/**
 * Sliced: long work that stops now and then, so that whoever runs it decides when it goes on: at once, or in turns with everything else that
 * waits for the same thread.
 */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** A stop costs little beside this many elements of anything. */
const ELEMENTS_BETWEEN_STOPS = 256;
/** Work and rest: an answer takes a few turns, each of which may wait for a slice, and in a rest there are as many as it needs. */
const SLICE_MILLISECONDS = 5;
const REST_MILLISECONDS = 5;

export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Rejects with the signal's reason once it aborts, between two slices. */
export async function inTurns<T>(work: Sliced<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const end = performance.now() + SLICE_MILLISECONDS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < end);
    await new Promise((resolve) => setTimeout(resolve, REST_MILLISECONDS));
  }
}

export function* slicedMap<T, U>(values: Iterable<T>, map: (value: T) => U): Sliced<readonly U[]> {
  const mapped: U[] = [];
  for (const value of values) {
    mapped.push(map(value));
    if (mapped.length % ELEMENTS_BETWEEN_STOPS === 0) yield;
  }
  return mapped;
}

export function* slicedFlatMap<T, U>(values: Iterable<T>, map: (value: T) => readonly U[]): Sliced<readonly U[]> {
  const mapped: U[] = [];
  let count = 0;
  for (const value of values) {
    for (const element of map(value)) mapped.push(element);
    if (++count % ELEMENTS_BETWEEN_STOPS === 0) yield;
  }
  return mapped;
}
