// A step prints one line when it is done. While steps run, a terminal shows which.
import { CommandFailed } from './command.mjs';

const LONG_MILLISECONDS = 5000;

/** @type {Set<string>} */
const running = new Set();

/**
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const start = performance.now();
  running.add(title);
  showRunning();
  const announcement = announceLater(title);
  try {
    const result = await work();
    printLine(`✓ ${title} (${secondsSince(start)})`);
    return result;
  } catch (error) {
    printLine(`✗ ${title} (${secondsSince(start)})`);
    throw error;
  } finally {
    clearTimeout(announcement);
    running.delete(title);
    showRunning();
  }
}

/**
 * Where no terminal shows what runs, a line says so of what takes long.
 * @param {string} title
 */
function announceLater(title) {
  if (process.stdout.isTTY) return undefined;
  return setTimeout(() => printLine(`… ${title}`), LONG_MILLISECONDS);
}

/**
 * The whole story of a failure: a command's output, or the message alone where the failure is a sentence for the user.
 * @param {unknown} error
 * @returns {string}
 */
export function describeFailure(error) {
  if (error instanceof AggregateError) return error.errors.map(describeFailure).join('\n\n');
  if (error instanceof CommandFailed) return `${error.output.trimEnd()}\n${error.message}`.trimStart();
  return error instanceof Error ? error.message : String(error);
}

/** @param {number} start */
export function secondsSince(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** @param {string} text */
export function printLine(text) {
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  process.stdout.write(`${text}\n`);
  showRunning();
}

function showRunning() {
  if (!process.stdout.isTTY) return;
  process.stdout.write(`\r\x1b[K${running.size > 0 ? `… ${[...running].join(' · ')}`.slice(0, (process.stdout.columns ?? 80) - 1) : ''}`);
}
