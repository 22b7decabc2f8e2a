/** engineCrash: why an engine process ended, in words with a remedy. Pure. */
import { EngineError } from '../errors';

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It could not even be started. */
  readonly startError?: Error;
  /** The last line that it wrote to stderr. */
  readonly lastWords?: string;
}

export function engineCrash({ code, signal, startError, lastWords }: ProcessEnd): EngineError {
  const said = lastWords === undefined ? '' : ` Its last words: ${lastWords}`;
  if (startError !== undefined) return new EngineError('EngineCrashed', `The engine process could not be started: ${startError.message}`);
  switch (signal) {
    case null:
      return new EngineError(
        'EngineCrashed',
        `The engine process ended too early, with code ${code ?? 'unknown'}.${said || ' Try again.'}`,
      );
    case 'SIGKILL':
      return new EngineError(
        'EngineCrashed',
        `The engine process was killed (SIGKILL), which is what a system does that runs out of memory. Close other programs, or use fewer threads.${said}`,
      );
    case 'SIGTERM':
    case 'SIGINT':
    case 'SIGHUP':
      return new EngineError('EngineCrashed', `The engine process was ended from outside (${signal}). Try again.${said}`);
    default:
      return new EngineError(
        'EngineCrashed',
        `The engine process crashed (${signal}), which is a fault of its own or of the GPU driver. Try the device cpu, and report it.${said}`,
      );
  }
}
