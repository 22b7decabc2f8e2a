/** EngineProcess: one forked engine process, from its start to its end. */
import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { RpcClient } from '../../rpc/client';
import type { EngineApi } from './api';
import type { ProcessEnd } from './engineCrash';
import { engineErrorCodec } from './engineErrors';
import { ipcPort } from './ipcPort';

export class EngineProcess {
  readonly rpc: RpcClient<EngineApi>;
  /** Resolves when the process has gone, and with it every file it had open. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  #lastWords: string | undefined;

  constructor(modulePath: string, log: (line: string) => void) {
    this.#child = fork(modulePath, [], {
      execPath: process.execPath,
      execArgv: [],
      // Inside the editor the executable is Electron, which is asked to be plain Node.
      env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const name = `engine ${this.#child.pid ?? '?'}`;
    log(`${name}: started`);
    this.ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null, startError?: Error): void => {
        log(`${name}: ended ${signal === null ? `with code ${code ?? '?'}` : `by ${signal}`}`);
        resolve({
          code,
          signal,
          ...(startError === undefined ? {} : { startError }),
          ...(this.#lastWords === undefined ? {} : { lastWords: this.#lastWords }),
        });
      };
      // `close` comes after `exit`, when its output was read to the end.
      this.#child.once('close', (code, signal) => end(code, signal));
      this.#child.once('error', (error) => {
        if (this.#child.pid === undefined) end(null, null, error);
      });
    });
    this.rpc = new RpcClient<EngineApi>(ipcPort(this.#child), engineErrorCodec);
    void this.ended.then(() => this.rpc.close(new Error('the engine process has gone')));
    eachLine(this.#child.stdout, (line) => log(`${name}: ${line}`));
    eachLine(this.#child.stderr, (line) => {
      if (isTelling(line)) this.#lastWords = line.trim();
      log(`${name}: ${line}`);
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** Node surrounds what went wrong with a stack and its own version. */
function isTelling(line: string): boolean {
  return line.trim() !== '' && !/^\s*at |^Node\.js v/.test(line);
}

function eachLine(stream: Readable | null, listener: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', listener);
}
