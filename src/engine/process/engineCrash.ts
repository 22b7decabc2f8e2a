/** engineCrash: why an engine process ended, in words with the file that it worked on and a remedy. Pure. */
import { EngineError } from '../errors';

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** It could not even be started. */
  readonly startError?: Error;
  /** The last line that it wrote to stderr. */
  readonly lastWords?: string;
}

/** `path` is absent where it worked on no file. */
export function engineCrash(end: ProcessEnd, path?: string): EngineError {
  const sentence = sentenceOf(end);
  if (path === undefined) return new EngineError('EngineCrashed', sentence);
  return new EngineError('EngineCrashed', `${path}: ${sentence}`, { path });
}

function sentenceOf({ code, signal, startError, lastWords }: ProcessEnd): string {
  const said = lastWords === undefined ? '' : ` Its last words: ${lastWords}`;
  if (startError !== undefined) return `The engine process could not be started: ${startError.message}`;
  switch (signal) {
    case null:
      return `The engine process ended too early, with code ${code ?? 'unknown'}.${said || ' Try again.'}`;
    case 'SIGKILL':
      return `The engine process was killed (SIGKILL), which is what a system does that runs out of memory. Close other programs, or use fewer threads.${said}`;
    case 'SIGTERM':
    case 'SIGINT':
    case 'SIGHUP':
      return `The engine process was ended from outside (${signal}). Try again.${said}`;
    default:
      return `The engine process crashed (${signal}), which is a fault of its own or of the GPU driver. Try the device cpu, and report it.${said}`;
  }
}
