/** RpcClient: calls the methods of a protocol over a port. Every call ends: with the answer, or with an error once the peer is gone. */
import { AsyncQueue } from '../base/asyncQueue';
import type { Disposable } from '../base/disposable';
import { ConnectionClosedError, plainErrorCodec, type ErrorCodec } from './errorCodec';
import type { MessagePort } from './port';
import type { Event, Params, RequestName, Result, StreamName } from './protocol';
import { asServerMessage, type ClientMessage, type ServerMessage } from './wire';

export class RpcClient<Protocol> implements Disposable {
  readonly #calls = new Map<number, AsyncQueue<unknown>>();
  readonly #subscriptions: readonly (Disposable | undefined)[];
  /** A page that takes another's place on the same port must not take answers that were on their way to that one for its own. */
  #nextId = Math.floor(Math.random() * 2 ** 48);
  #closed: Error | undefined;

  constructor(
    private readonly port: MessagePort,
    private readonly errors: ErrorCodec = plainErrorCodec,
  ) {
    this.#subscriptions = [
      port.onMessage((message) => this.#receive(asServerMessage(message))),
      port.onClose?.((reason) => this.close(reason)),
    ];
    this.#tell({ rpc: 'begin' });
  }

  /** Resolves or rejects with what the other side answers. An abort asks the other side to stop, whose answer still ends the call. */
  async request<Name extends RequestName<Protocol>>(
    method: Name,
    params: Params<Protocol, Name>,
    signal?: AbortSignal,
  ): Promise<Result<Protocol, Name>> {
    let result: unknown;
    for await (const value of this.#call(method, params, signal)) result = value;
    return result as Result<Protocol, Name>;
  }

  /** The call is made when the iteration begins; leaving the iteration early cancels it. An abort works as for a request. */
  stream<Name extends StreamName<Protocol>>(
    method: Name,
    params: Params<Protocol, Name>,
    signal?: AbortSignal,
  ): AsyncGenerator<Event<Protocol, Name>, void, undefined> {
    return this.#call(method, params, signal) as AsyncGenerator<Event<Protocol, Name>, void, undefined>;
  }

  /** Ends every open call, and every later one, with `reason`. */
  close(reason: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const subscription of this.#subscriptions) subscription?.dispose();
    for (const answers of this.#calls.values()) answers.fail(reason);
  }

  dispose(): void {
    this.close(new ConnectionClosedError());
  }

  async *#call(method: string, params: unknown, signal: AbortSignal | undefined): AsyncGenerator<unknown, void, undefined> {
    if (this.#closed !== undefined) throw this.#closed;
    const id = this.#nextId++;
    const answers = new AsyncQueue<unknown>();
    const cancel = (): void => this.#cancel(id);
    this.#calls.set(id, answers);
    try {
      this.#post({ rpc: 'call', id, method, params });
      if (signal?.aborted === true) cancel();
      signal?.addEventListener('abort', cancel);
      yield* answers;
    } finally {
      signal?.removeEventListener('abort', cancel);
      if (!answers.ended) cancel();
      this.#calls.delete(id);
    }
  }

  #cancel(id: number): void {
    this.#tell({ rpc: 'cancel', id });
  }

  /** Where the peer is gone, so are its calls. */
  #tell(message: ClientMessage): void {
    try {
      this.#post(message);
    } catch {
      // See above.
    }
  }

  #post(message: ClientMessage): void {
    this.port.post(message);
  }

  #receive(message: ServerMessage | undefined): void {
    if (message === undefined) return;
    const answers = this.#calls.get(message.id);
    switch (message.rpc) {
      case 'event':
        answers?.push(message.event);
        break;
      case 'reply':
        answers?.push(message.result);
        answers?.end();
        break;
      case 'end':
        answers?.end();
        break;
      case 'error':
        answers?.fail(this.errors.decode(message.error));
        break;
    }
  }
}
