import { describe, expect, it } from 'vitest';
import { atOnce, inTurns, slicedFlatMap, slicedMap, type Sliced } from '../../../src/base/slices';

const NEVER = new AbortController().signal;
const numbers = Array.from({ length: 2000 }, (_, i) => i);

describe('slicedMap and slicedFlatMap', () => {
  it('give what map and flatMap give, at once and in turns', async () => {
    const doubled = numbers.map((number) => 2 * number);
    const odd = numbers.flatMap((number) => (number % 2 === 1 ? [number, -number] : []));
    const maps = (): Sliced<readonly number[]> => slicedMap(numbers, (number) => 2 * number);
    const flatMaps = (): Sliced<readonly number[]> => slicedFlatMap(numbers, (number) => (number % 2 === 1 ? [number, -number] : []));
    expect(atOnce(maps())).toEqual(doubled);
    expect(await inTurns(maps(), NEVER)).toEqual(doubled);
    expect(atOnce(flatMaps())).toEqual(odd);
    expect(await inTurns(flatMaps(), NEVER)).toEqual(odd);
  });

  it('stop now and then, however little comes of the elements', () => {
    expect(stopsOf(slicedMap(numbers, () => 0))).toBe(7);
    expect(stopsOf(slicedFlatMap(numbers, () => []))).toBe(7);
  });
});

describe('inTurns', () => {
  it('lets others run before the work ends', async () => {
    let hasRun = false;
    setTimeout(() => (hasRun = true));
    // Without a turn of its own the timer would never run, and the work never end.
    function* untilOthersRan(): Sliced<string> {
      while (!hasRun) yield;
      return 'ended';
    }
    expect(await inTurns(untilOthersRan(), NEVER)).toBe('ended');
  });

  it('leaves work that is no longer wanted', async () => {
    const abort = new AbortController();
    function* endless(): Sliced<never> {
      for (;;) yield;
    }
    setTimeout(() => abort.abort(new Error('not wanted')));
    await expect(inTurns(endless(), abort.signal)).rejects.toThrow('not wanted');
  });
});

function stopsOf(work: Sliced<unknown>): number {
  let stops = 0;
  while (work.next().done !== true) stops++;
  return stops;
}
