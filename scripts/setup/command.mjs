// Runs commands quietly: their output is kept, and shown only when they fail.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export class CommandFailed extends Error {
  /** @param {string} command @param {string} how @param {string} output */
  constructor(command, how, output) {
    super(`\`${command}\` ${how}`);
    this.output = output;
  }
}

/**
 * Resolves to what the command printed; throws CommandFailed on any exit code but 0 and after `timeoutSeconds`.
 * @param {string} program
 * @param {readonly string[]} parameters
 * @param {{ cwd?: string, env?: Readonly<Record<string, string | undefined>>, timeoutSeconds?: number }} [options]
 * @returns {Promise<string>}
 */
export function runQuietly(program, parameters, { cwd = root, env = {}, timeoutSeconds = 900 } = {}) {
  return new Promise((resolve, reject) => {
    // A process group of its own, so that a time-out ends what the command itself has started.
    const child = spawn(program, parameters, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const endGroup = () => endProcessGroup(child.pid);
    // A Ctrl-C does not reach that group: leave through `exit`, which ends it.
    const leave = () => process.exit(130);
    process.once('exit', endGroup).once('SIGINT', leave).once('SIGTERM', leave);
    /** @type {string[]} */
    const output = [];
    child.stdout.setEncoding('utf8').on('data', (text) => output.push(text));
    child.stderr.setEncoding('utf8').on('data', (text) => output.push(text));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      endGroup();
    }, timeoutSeconds * 1000);
    const finish = (/** @type {string | undefined} */ failure) => {
      clearTimeout(timer);
      process.off('exit', endGroup).off('SIGINT', leave).off('SIGTERM', leave);
      const command = [program, ...parameters].join(' ');
      if (failure === undefined) resolve(output.join(''));
      else reject(new CommandFailed(command, failure, output.join('')));
    };
    child.once('error', (error) => finish(`cannot be run: ${error.message}`));
    child.once('close', (code, signal) => {
      if (timedOut) finish(`was stopped after ${timeoutSeconds} s`);
      else finish(code === 0 ? undefined : `ended with ${signal ?? `exit code ${code}`}`);
    });
  });
}

/** @param {number | undefined} pid */
function endProcessGroup(pid) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}
