/** MessagePort: the one thing a transport provides (a child process's IPC channel, a webview, a pair in a test). */
import type { Disposable } from '../base/disposable';

export interface MessagePort {
  /** Messages arrive in order. Throws where the message cannot be copied or the peer is known to be gone. */
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): Disposable;
  /** Called once when the peer has gone; a transport that cannot know it leaves this out, and its owner closes the connection. */
  onClose?(listener: (reason: Error) => void): Disposable;
}
