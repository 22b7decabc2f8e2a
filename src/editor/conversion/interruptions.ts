/**
 * Interruptions: conversions that ended with their window. A mark in the workspace's storage says what runs; a mark that is there when the
 * extension starts is of a conversion that was cut off, whose engine cleans up by itself.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Memento } from 'vscode';
import type { ConversionState } from './conversionState';

const KEY = 'fp8.running';
/** An engine that lost its window removes its file within a second; the rest is a busy machine. */
const CLEANUP_MILLISECONDS = 8000;

export interface Interruption {
  readonly source: string;
  readonly output: string;
}

export class Interruptions {
  #closing = false;

  constructor(private readonly memento: Memento) {}

  /** What was cut off when the extension last ended; told once. */
  take(): readonly Interruption[] {
    const found = parse(this.memento.get(KEY));
    this.follow([]);
    return found;
  }

  /** What runs or waits now. An end that comes with the window's own is an interruption, whatever it says. */
  follow(active: readonly Interruption[]): void {
    if (!this.#closing) void this.memento.update(KEY, active.length === 0 ? undefined : active);
  }

  close(): void {
    this.#closing = true;
  }
}

/** Nothing for a conversion that has ended. */
export function markOf(source: string, state: ConversionState): readonly Interruption[] {
  return state.phase === 'queued' || state.phase === 'running' ? [{ source, output: state.output }] : [];
}

/** Unfinished files of this output that are still there once the engine has had its time. */
export async function leftBehind(output: string): Promise<readonly string[]> {
  const deadline = Date.now() + CLEANUP_MILLISECONDS;
  for (;;) {
    const names = await readdir(dirname(output)).catch(() => []);
    const unfinished = names.filter((name) => name.startsWith(`.${basename(output)}.`) && name.endsWith('.fp8-partial'));
    if (unfinished.length === 0) return [];
    if (Date.now() > deadline) return unfinished.map((name) => join(dirname(output), name));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function parse(stored: unknown): readonly Interruption[] {
  if (!Array.isArray(stored)) return [];
  return stored.flatMap((item: unknown): readonly Interruption[] => {
    if (typeof item !== 'object' || item === null || !('source' in item) || !('output' in item)) return [];
    const { source, output } = item;
    return typeof source === 'string' && typeof output === 'string' ? [{ source, output }] : [];
  });
}
