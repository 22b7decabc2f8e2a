/** engineErrors: EngineErrors keep their code, tensor and path on the way between processes. */
import type { ErrorCodec } from '../../rpc/errorCodec';
import { plainErrorCodec } from '../../rpc/errorCodec';
import { EngineError, type SerializedError } from '../errors';

export const engineErrorCodec: ErrorCodec = {
  encode: (error) => EngineError.wrap(error).toJSON(),
  // The other end is this same code: what it encodes is a SerializedError.
  decode: (error) => (error.code === 'UnknownMethod' ? plainErrorCodec.decode(error) : EngineError.from(error as SerializedError)),
};
