/** What travels: a beginning, calls and cancels one way; replies, events and ends the other way. Every call is closed by one `reply`, `end` or `error`. */
export type ClientMessage =
  /** A client takes the place of the one before it, whose calls nobody waits for any more. */
  | { readonly rpc: 'begin' }
  | { readonly rpc: 'call'; readonly id: number; readonly method: string; readonly params: unknown }
  | { readonly rpc: 'cancel'; readonly id: number };

export type ServerMessage =
  | { readonly rpc: 'reply'; readonly id: number; readonly result: unknown }
  | { readonly rpc: 'event'; readonly id: number; readonly event: unknown }
  | { readonly rpc: 'end'; readonly id: number }
  | { readonly rpc: 'error'; readonly id: number; readonly error: WireError };

/** Plain data; `code` names the kind of error for programs, `message` tells it to people. */
export interface WireError {
  readonly code: string;
  readonly message: string;
}

/** A port may carry other messages as well: those are nobody's here. */
export function asClientMessage(message: unknown): ClientMessage | undefined {
  if (!isRecord(message)) return undefined;
  if (message['rpc'] === 'begin') return { rpc: 'begin' };
  if (typeof message['id'] !== 'number') return undefined;
  const id = message['id'];
  switch (message['rpc']) {
    case 'call':
      return typeof message['method'] === 'string' ? { rpc: 'call', id, method: message['method'], params: message['params'] } : undefined;
    case 'cancel':
      return { rpc: 'cancel', id };
    default:
      return undefined;
  }
}

export function asServerMessage(message: unknown): ServerMessage | undefined {
  if (!isRecord(message) || typeof message['id'] !== 'number') return undefined;
  const id = message['id'];
  switch (message['rpc']) {
    case 'reply':
      return { rpc: 'reply', id, result: message['result'] };
    case 'event':
      return { rpc: 'event', id, event: message['event'] };
    case 'end':
      return { rpc: 'end', id };
    case 'error':
      return { rpc: 'error', id, error: asWireError(message['error']) };
    default:
      return undefined;
  }
}

function asWireError(error: unknown): WireError {
  if (isRecord(error) && typeof error['code'] === 'string' && typeof error['message'] === 'string') {
    return { ...error, code: error['code'], message: error['message'] };
  }
  return { code: 'Internal', message: 'the other side reported an error that cannot be read' };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
