/** ErrorCodec: how thrown values become plain data and errors again; a protocol with an error type of its own brings its own codec. */
import type { WireError } from './wire';

export interface ErrorCodec {
  encode(error: unknown): WireError;
  decode(error: WireError): Error;
}

/** What a caller gets where no codec says otherwise. */
export class RpcError extends Error {
  override readonly name: string = 'RpcError';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The peer is gone: no answer will come. */
export class ConnectionClosedError extends RpcError {
  override readonly name = 'ConnectionClosedError';

  constructor(message = 'the connection is closed') {
    super('ConnectionClosed', message);
  }
}

/** Keeps what an error says for itself through `toJSON`, else its `code` and message; never its stack. */
export const plainErrorCodec: ErrorCodec = {
  encode(error) {
    if (!(error instanceof Error)) return { code: 'Internal', message: String(error) };
    const own: unknown = 'toJSON' in error && typeof error.toJSON === 'function' ? Reflect.apply(error.toJSON, error, []) : undefined;
    const code = error.name === 'AbortError' ? 'Cancelled' : 'code' in error && typeof error.code === 'string' ? error.code : 'Internal';
    return { ...(typeof own === 'object' ? own : undefined), code, message: error.message };
  },
  decode(error) {
    const { code, message, ...rest } = error;
    return Object.assign(new RpcError(code, message), rest);
  },
};
