/** EngineError: the one error type that crosses the engine's boundaries, with a closed set of codes. */

export type EngineErrorCode =
  | 'InvalidSafetensors' // `rule` names the reference reader's check that failed
  | 'InvalidShards' // an index and its shards do not fit together
  | 'FileNotFound'
  | 'PermissionDenied'
  | 'NotAFile'
  | 'DiskFull'
  | 'OutputExists'
  | 'OutputIsInput'
  | 'FileChanged' // the source shrank or was replaced while it was read
  | 'InvalidRecipe'
  | 'InvalidCalibration' // the calibration file is not one, or is of another model
  | 'NothingToQuantize'
  | 'NativeUnavailable' // the addon is missing or does not load
  | 'DeviceUnavailable'
  | 'DeviceFailed'
  | 'OutOfMemory'
  | 'EngineCrashed' // the engine process died; `message` says how
  | 'Cancelled'
  | 'VerificationFailed'
  | 'Io'
  | 'Internal';

export interface ErrorDetails {
  readonly path?: string;
  readonly tensor?: string;
  readonly rule?: string;
}

/** What travels between processes and into `--json` output. */
export interface SerializedError extends ErrorDetails {
  readonly code: EngineErrorCode;
  readonly message: string;
}

export class EngineError extends Error {
  override readonly name = 'EngineError';

  constructor(
    readonly code: EngineErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  toJSON(): SerializedError {
    return { code: this.code, message: this.message, ...this.details };
  }

  static from(serialized: SerializedError): EngineError {
    const { code, message, ...details } = serialized;
    return new EngineError(code, message, details);
  }

  /** Any thrown value as an EngineError; Node's file system errors get the matching code. */
  static wrap(error: unknown, details: ErrorDetails = {}): EngineError {
    if (error instanceof EngineError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new EngineError(codeOf(error), message, details, { cause: error });
  }
}

function codeOf(error: unknown): EngineErrorCode {
  if (!(error instanceof Error)) return 'Internal';
  if (error.name === 'AbortError') return 'Cancelled';
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'FileNotFound';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'PermissionDenied';
    case 'EISDIR':
    case 'ENOTDIR':
      return 'NotAFile';
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return 'DiskFull';
    case 'EEXIST':
      return 'OutputExists';
    case 'ENOMEM':
      return 'OutOfMemory';
    case 'EIO':
      return 'Io';
    default:
      // Any other answer of the operating system is not our mistake.
      return 'syscall' in error ? 'Io' : 'Internal';
  }
}
