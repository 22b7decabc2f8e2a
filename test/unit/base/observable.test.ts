import { describe, expect, it } from 'vitest';
import { Observable } from '../../../src/base/observable';

describe('Observable', () => {
  it('gives a slow follower the newest value and no older one', async () => {
    const observable = new Observable(1);
    const abort = new AbortController();
    const values = observable.values(abort.signal);
    expect((await values.next()).value).toBe(1);
    observable.value = 2;
    observable.value = 3;
    expect((await values.next()).value).toBe(3);
    const waiting = values.next();
    observable.value = 4;
    expect((await waiting).value).toBe(4);
  });

  it('ends the following on abort, also of one that waits', async () => {
    const observable = new Observable('a');
    const abort = new AbortController();
    const values = observable.values(abort.signal);
    await values.next();
    const waiting = values.next();
    abort.abort();
    expect((await waiting).done).toBe(true);
  });

  it('tells each subscription once, until it is disposed', () => {
    const observable = new Observable(0);
    const seen: number[] = [];
    const listener = (value: number): void => void seen.push(value);
    const first = observable.onChange(listener);
    observable.onChange(listener);
    observable.value = 1;
    first.dispose();
    observable.value = 2;
    expect(seen).toEqual([1, 1, 2]);
  });
});
