/** serve: answers the calls that arrive at a port with an implementation of the protocol. Every call is answered, whatever the method throws. */
import type { Disposable } from '../base/disposable';
import { plainErrorCodec, RpcError, type ErrorCodec } from './errorCodec';
import type { MessagePort } from './port';
import { asClientMessage, type ServerMessage } from './wire';

type Method = (params: unknown, signal: AbortSignal) => unknown;

/** Disposing it, like the peer's going or another client's coming, aborts what is running; nothing is posted of that afterwards. */
// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- named by the caller, it has the implementation checked against the protocol
export function serve<Protocol extends object>(
  port: MessagePort,
  implementation: Protocol,
  errors: ErrorCodec = plainErrorCodec,
): Disposable {
  const running = new Map<number, AbortController>();
  let open = true;

  const answer = async (id: number, method: string, params: unknown): Promise<void> => {
    const controller = new AbortController();
    running.set(id, controller);
    const isAsked = (): boolean => open && running.get(id) === controller;
    try {
      const answered = methodOf(implementation, method)(params, controller.signal);
      if (isAsyncIterable(answered)) {
        for await (const event of answered) {
          if (!isAsked()) return;
          port.post({ rpc: 'event', id, event } satisfies ServerMessage);
        }
        if (isAsked()) post(port, { rpc: 'end', id });
      } else {
        const result = await answered;
        if (isAsked()) port.post({ rpc: 'reply', id, result } satisfies ServerMessage);
      }
    } catch (error) {
      // Also the way for a result that the port cannot copy.
      if (isAsked()) post(port, { rpc: 'error', id, error: errors.encode(error) });
    } finally {
      if (running.get(id) === controller) running.delete(id);
    }
  };

  const abandon = (): void => {
    const abandoned = [...running.values()];
    running.clear();
    for (const controller of abandoned) controller.abort();
  };

  const close = (): void => {
    if (!open) return;
    open = false;
    for (const subscription of subscriptions) subscription?.dispose();
    abandon();
  };

  const subscriptions = [
    port.onMessage((received) => {
      const message = asClientMessage(received);
      switch (message?.rpc) {
        case 'begin':
          abandon();
          break;
        case 'call':
          void answer(message.id, message.method, message.params);
          break;
        case 'cancel':
          running.get(message.id)?.abort();
          break;
        case undefined:
          break;
      }
    }),
    port.onClose?.(close),
  ];
  return { dispose: close };
}

function methodOf(implementation: object, name: string): Method {
  const method: unknown = name in Object.prototype ? undefined : Reflect.get(implementation, name);
  if (typeof method !== 'function') throw new RpcError('UnknownMethod', `there is no method "${name}"`);
  return method.bind(implementation) as Method;
}

/** Where even an ending cannot be posted, the peer is gone and waits for nothing. */
function post(port: MessagePort, message: ServerMessage): void {
  try {
    port.post(message);
  } catch {
    // See above.
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
