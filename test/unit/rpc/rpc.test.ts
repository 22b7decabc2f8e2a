import { afterEach, describe, expect, expectTypeOf, it } from 'vitest';
import { RpcClient } from '../../../src/rpc/client';
import { ConnectionClosedError, RpcError } from '../../../src/rpc/errorCodec';
import { serve } from '../../../src/rpc/server';
import { portPair, type PortPair } from './pair';

interface Library {
  title(): Promise<string>;
  find(title: string, signal: AbortSignal): Promise<{ readonly pages: number } | undefined>;
  untilCancelled(params: undefined, signal: AbortSignal): Promise<never>;
  uncopyable(params: undefined): Promise<() => void>;
  count(to: number, signal: AbortSignal): AsyncIterable<number>;
  forever(params: undefined, signal: AbortSignal): AsyncIterable<number>;
}

class Fault extends Error {
  readonly code = 'Fault';
  toJSON(): unknown {
    return { code: this.code, message: this.message, path: '/a/b' };
  }
}

/** What the methods saw, for the tests to look at. */
let seen: string[] = [];
/** Calls of `untilCancelled`. */
let begun = 0;

const library: Library = {
  title: () => Promise.resolve('library'),
  async find(title) {
    if (title === 'missing') return undefined;
    if (title === 'burnt') throw new Fault('the book burnt');
    if (title === 'odd') throw 'not even an error';
    return { pages: title.length };
  },
  untilCancelled: (_params, signal) =>
    new Promise((_resolve, reject) => {
      begun++;
      signal.addEventListener('abort', () => {
        seen.push('aborted');
        reject(signal.reason as Error);
      });
    }),
  uncopyable: () => Promise.resolve(() => undefined),
  async *count(to) {
    for (let i = 0; i < to; i++) yield i;
    if (to === 13) throw new Fault('unlucky');
  },
  async *forever(_params, signal) {
    try {
      for (let i = 0; !signal.aborted; i++) {
        yield i;
        await new Promise((resolve) => setImmediate(resolve));
      }
      yield -1;
    } finally {
      seen.push('stopped');
    }
  },
};

const open: { dispose(): void }[] = [];

function connect(implementation: Library = library): { readonly pair: PortPair; readonly client: RpcClient<Library> } {
  seen = [];
  begun = 0;
  const pair = portPair();
  const client = new RpcClient<Library>(pair.client);
  open.push(serve(pair.server, implementation), client, { dispose: () => pair.disconnect() });
  return { pair, client };
}

afterEach(() => {
  for (const disposable of open.splice(0)) disposable.dispose();
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 5000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 2));
  expect(condition()).toBe(true);
}

describe('a client that takes the place of another', () => {
  it('is not told what the one before asked for', async () => {
    const { pair, client } = connect();
    const before = client.stream('forever', undefined);
    await before.next();
    const after = new RpcClient<Library>(pair.client);
    open.push(after);
    for (let i = 0; i < 20; i++) expect(await after.request('title', undefined)).toBe('library');
    await before.return();
  });
});

describe('a request', () => {
  it('resolves with the result, undefined included', async () => {
    const { client } = connect();
    expect(await client.request('title', undefined)).toBe('library');
    expect(await client.request('find', 'Ruth')).toEqual({ pages: 4 });
    expect(await client.request('find', 'missing')).toBeUndefined();
  });

  it('has the types of the interface', () => {
    const { client } = connect();
    expectTypeOf(client.request<'find'>)
      .parameter(1)
      .toEqualTypeOf<string>();
    expectTypeOf(client.request<'find'>).returns.resolves.toEqualTypeOf<{ readonly pages: number } | undefined>();
    expectTypeOf(client.stream<'count'>)
      .parameter(1)
      .toEqualTypeOf<number>();
    expectTypeOf(client.request<'title'>)
      .parameter(1)
      .toEqualTypeOf<undefined>();
    // @ts-expect-error a stream is not a request
    expectTypeOf(client.request<'count'>).toBeFunction();
  });

  it('rejects with code, message and details of what the method throws', async () => {
    const { client } = connect();
    const error: unknown = await client.request('find', 'burnt').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: 'Fault', message: 'the book burnt', path: '/a/b' });
    await expect(client.request('find', 'odd')).rejects.toMatchObject({ code: 'Internal', message: 'not even an error' });
  });

  it('is answered when the method does not exist or is inherited from Object', async () => {
    const { client } = connect();
    for (const name of ['burn', 'toString', 'constructor', '__proto__']) {
      await expect(client.request(name as 'find', 'x')).rejects.toMatchObject({ code: 'UnknownMethod' });
    }
  });

  it('is answered when the result cannot be copied, and when the parameters cannot', async () => {
    const { client } = connect();
    await expect(client.request('uncopyable', undefined)).rejects.toThrow(/could not be cloned/);
    await expect(client.request('find', (() => '') as unknown as string)).rejects.toThrow(/could not be cloned/);
    expect(await client.request('find', 'still works')).toEqual({ pages: 11 });
  });

  it('reaches the method as an aborted signal when it is cancelled, also before it began', async () => {
    const { client } = connect();
    const controller = new AbortController();
    const answer = client.request('untilCancelled', undefined, controller.signal);
    await until(() => begun === 1);
    controller.abort();
    await expect(answer).rejects.toMatchObject({ code: 'Cancelled' });
    await expect(client.request('untilCancelled', undefined, AbortSignal.abort())).rejects.toMatchObject({ code: 'Cancelled' });
    expect(seen).toEqual(['aborted', 'aborted']);
  });

  it('rejects when the peer goes away, and the method is aborted', async () => {
    const { client, pair } = connect();
    const answer = client.request('untilCancelled', undefined);
    const rejected = expect(answer).rejects.toThrow('the other side has gone');
    await until(() => begun === 1);
    pair.disconnect();
    await rejected;
    expect(seen).toEqual(['aborted']);
    await expect(client.request('title', undefined)).rejects.toThrow('the other side has gone');
  });

  it('rejects when the client is disposed', async () => {
    const { client } = connect();
    const answer = client.request('untilCancelled', undefined);
    client.dispose();
    await expect(answer).rejects.toBeInstanceOf(ConnectionClosedError);
  });
});

describe('a stream', () => {
  it('brings every event in order, then ends', async () => {
    const { client } = connect();
    const events: number[] = [];
    for await (const event of client.stream('count', 1000)) events.push(event);
    expect(events).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  it('brings what came before an error, then throws it', async () => {
    const { client } = connect();
    const events: number[] = [];
    const whole = (async () => {
      for await (const event of client.stream('count', 13)) events.push(event);
    })();
    await expect(whole).rejects.toMatchObject({ code: 'Fault', message: 'unlucky' });
    expect(events).toHaveLength(13);
  });

  it('brings the last words of a cancelled method', async () => {
    const { client } = connect();
    const controller = new AbortController();
    let last = 0;
    for await (const event of client.stream('forever', undefined, controller.signal)) {
      last = event;
      if (event === 3) controller.abort();
    }
    expect(last).toBe(-1);
    expect(seen).toEqual(['stopped']);
  });

  it('is cancelled by leaving the loop', async () => {
    const { client } = connect();
    for await (const event of client.stream('forever', undefined)) if (event === 3) break;
    await until(() => seen.includes('stopped'));
  });

  it('throws when the peer goes away, and the method stops', async () => {
    const { client, pair } = connect();
    const whole = (async () => {
      for await (const event of client.stream('forever', undefined)) if (event === 3) pair.disconnect();
    })();
    await expect(whole).rejects.toThrow('the other side has gone');
    await until(() => seen.includes('stopped'));
  });

  it('runs beside others over the same port', async () => {
    const { client } = connect();
    const sum = async (to: number): Promise<number> => {
      let total = 0;
      for await (const event of client.stream('count', to)) total += event;
      return total;
    };
    expect(await Promise.all([sum(10), sum(100), client.request('title', undefined), sum(5)])).toEqual([45, 4950, 'library', 10]);
  });
});

it('messages of others on the same port are left alone', async () => {
  const { client, pair } = connect();
  for (const stray of [null, 7, 'call', { rpc: 'call' }, { rpc: 'reply', id: 999, result: 1 }, { id: 1 }, { rpc: 'error', id: 999 }]) {
    pair.client.post(stray);
    pair.server.post(stray);
  }
  expect(await client.request('title', undefined)).toBe('library');
});
