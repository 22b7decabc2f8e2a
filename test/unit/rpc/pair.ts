/** A pair of connected ports: messages are copied as between processes, and arrive later, in order. */
import { MessageChannel } from 'node:worker_threads';
import type { MessagePort } from '../../../src/rpc/port';

export interface PortPair {
  readonly client: MessagePort;
  readonly server: MessagePort;
  /** Both ends learn that the other is gone, and posting throws from now on. */
  disconnect(): void;
}

export function portPair(): PortPair {
  const { port1, port2 } = new MessageChannel();
  const closeListeners = new Set<(reason: Error) => void>();
  let connected = true;
  const end = (port: typeof port1): MessagePort => ({
    post(message) {
      if (!connected) throw new Error('disconnected');
      port.postMessage(message);
    },
    onMessage(listener) {
      port.on('message', listener);
      return { dispose: () => port.off('message', listener) };
    },
    onClose(listener) {
      closeListeners.add(listener);
      return { dispose: () => closeListeners.delete(listener) };
    },
  });
  return {
    client: end(port1),
    server: end(port2),
    disconnect() {
      connected = false;
      port1.close();
      for (const listener of [...closeListeners]) listener(new Error('the other side has gone'));
    },
  };
}
