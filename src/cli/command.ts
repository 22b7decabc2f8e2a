/** Command: what a command gets, and what it gives back. */
import type { Terminal } from './output/terminal';

export interface CommandContext {
  readonly terminal: Terminal;
  /** Aborted by Ctrl-C, a closed terminal, or a request to end. */
  readonly signal: AbortSignal;
  /** The engine's bundle. */
  readonly engineModule: string;
  readonly version: string;
}

/** Takes the words after the command's name. Throws UsageError and EngineError. */
export type Command = (words: readonly string[], context: CommandContext) => Promise<ExitCode>;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT = { done: 0, error: 1, usage: 2, cancelled: 130 } as const;
