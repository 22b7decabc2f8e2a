/** Processes of this machine, as /proc tells of them: Linux alone, elsewhere there are none to see. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Those whose command line names a file of this name in this folder. */
export async function processesRunning(folder: string, file: string): Promise<readonly number[]> {
  const ids = await processIds();
  const commands = await Promise.all(ids.map((id) => told(id, 'cmdline')));
  const runs = (command: string): boolean => command.split('\0').some((word) => word.startsWith(folder) && word.endsWith(`/${file}`));
  return ids.filter((_, index) => runs(commands[index] ?? ''));
}

/** Those that were started with this in their environment, by whomever, and whatever became of their parents. */
export async function processesWithEnvironment(name: string, value: string): Promise<readonly number[]> {
  const ids = await processIds();
  const environments = await Promise.all(ids.map((id) => told(id, 'environ')));
  return ids.filter((id, index) => id !== process.pid && (environments[index] ?? '').split('\0').includes(`${name}=${value}`));
}

/** Whether the process was still there. */
export function signalled(id: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(id, signal);
  } catch {
    return false;
  }
}

async function processIds(): Promise<readonly number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Nothing of one that has gone meanwhile. */
function told(id: number, file: string): Promise<string> {
  return readFile(join('/proc', String(id), file), 'utf8').catch(() => '');
}
