/** ipcPort: Node's IPC channel between a process and its child as a MessagePort, from either side. */
import type { ChildProcess } from 'node:child_process';
import type { MessagePort } from '../../rpc/port';

/** `child`, or this process itself for its channel to the parent. */
export function ipcPort(channel: ChildProcess | NodeJS.Process): MessagePort {
  // Both have the same methods, but typed so differently that only one of them can be named.
  const endpoint = channel as ChildProcess;
  return {
    post(message) {
      if (!endpoint.connected) throw new Error('the process at the other end has gone');
      // Without a callback an error would be thrown later, out of anybody's reach; the channel closes then, which is noticed.
      endpoint.send(message as object, () => undefined);
    },
    onMessage(listener) {
      endpoint.on('message', listener);
      return { dispose: () => endpoint.off('message', listener) };
    },
    onClose(listener) {
      const closed = (): void => listener(new Error('the process at the other end has gone'));
      endpoint.once('disconnect', closed);
      return { dispose: () => endpoint.off('disconnect', closed) };
    },
  };
}
