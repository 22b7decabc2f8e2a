/**
 * EngineClient: the engine for those who use it. Each call gets a process of its own, which ends with the call: so a crash takes nothing
 * else with it, memory figures are the job's, and no GPU memory stays occupied.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { EngineError } from '../errors';
import type { CompareEvent, CompareRequest } from '../inspect/compareEvent';
import type { InspectEvent, InspectRequest, PreviewEvent, PreviewRequest } from '../inspect/inspectEvent';
import type { ConvertRequest } from '../job/convertRequest';
import type { JobEnd, JobEvent } from '../job/jobEvent';
import { temporaryPathsOf } from '../job/partialOutput';
import type { QuantizerDevice } from '../job/quantizer';
import type { VerifyEnd, VerifyEvent, VerifyRequest } from '../job/verify/verifyEvent';
import { randomToken } from '../safetensors/temporaryPath';
import { engineCrash } from './engineCrash';
import { EngineProcess } from './engineProcess';

export interface EngineClientOptions {
  /** The engine's bundle, `dist/engine.js`. */
  readonly modulePath: string;
  /** Receives what engine processes print, and when they come and go. */
  readonly log?: (line: string) => void;
}

/** After a cancel the engine may take this long to answer before it is killed. */
const GRACE_MS = 2000;

type Interruption = Extract<JobEnd | VerifyEnd, { readonly type: 'failed' | 'cancelled' }>;

export class EngineClient {
  readonly #running = new Set<EngineProcess>();
  readonly #disposal = new AbortController();

  constructor(private readonly options: EngineClientOptions) {}

  async devices(): Promise<readonly QuantizerDevice[]> {
    const engine = this.#start();
    try {
      return await engine.rpc.request('devices', undefined);
    } catch (error) {
      throw await this.#explain(error, engine);
    } finally {
      engine.kill();
    }
  }

  /** Ends with exactly one terminal event and never throws. After `failed` and `cancelled` there is neither an output nor a temporary file. */
  convert(request: ConvertRequest, signal: AbortSignal): AsyncGenerator<JobEvent, void, undefined> {
    const token = randomToken();
    return this.#events(
      request.source,
      signal,
      (engine, stop) => engine.rpc.stream('convert', { request, token }, stop),
      isTerminal,
      temporaryPathsOf(request, token),
    );
  }

  /** Ends with exactly one terminal event and never throws. */
  verify(request: VerifyRequest, signal: AbortSignal): AsyncGenerator<VerifyEvent, void, undefined> {
    return this.#events(request.converted, signal, (engine, stop) => engine.rpc.stream('verify', request, stop), isTerminal, []);
  }

  /** What the values of one tensor are like. Ends with exactly one terminal event and never throws. */
  inspect(request: InspectRequest, signal: AbortSignal): AsyncGenerator<InspectEvent, void, undefined> {
    return this.#events(request.path, signal, (engine, stop) => engine.rpc.stream('inspect', request, stop), isTerminal, []);
  }

  /** What rounding would make of one tensor; nothing is written. Ends with exactly one terminal event and never throws. */
  preview(request: PreviewRequest, signal: AbortSignal): AsyncGenerator<PreviewEvent, void, undefined> {
    return this.#events(request.path, signal, (engine, stop) => engine.rpc.stream('preview', request, stop), isTerminal, []);
  }

  /** What differs between two files. Ends with exactly one terminal event and never throws. */
  compare(request: CompareRequest, signal: AbortSignal): AsyncGenerator<CompareEvent, void, undefined> {
    return this.#events(request.other, signal, (engine, stop) => engine.rpc.stream('compare', request, stop), isTerminal, []);
  }

  /** Cancels what is running, and returns when every process has gone. */
  async dispose(): Promise<void> {
    this.#disposal.abort();
    const engines = [...this.#running];
    const killing = setTimeout(() => {
      for (const engine of engines) engine.kill();
    }, GRACE_MS);
    await Promise.all(engines.map(({ ended }) => ended));
    clearTimeout(killing);
  }

  /** `path` is the file that the call is about. */
  async *#events<E extends { readonly type: string }>(
    path: string,
    signal: AbortSignal,
    call: (engine: EngineProcess, stop: AbortSignal) => AsyncIterable<E>,
    isEnd: (event: E) => boolean,
    temporaryPaths: readonly string[],
  ): AsyncGenerator<E | Interruption, void, undefined> {
    const stop = AbortSignal.any([signal, this.#disposal.signal]);
    const isStopped = (): boolean => stop.aborted;
    if (isStopped()) return yield { type: 'cancelled' };
    let engine: EngineProcess;
    try {
      engine = this.#start();
    } catch (error) {
      return yield failure(EngineError.wrap(error));
    }
    let killing: NodeJS.Timeout | undefined;
    const stopped = (): void => {
      killing = setTimeout(() => engine.kill(), GRACE_MS);
    };
    stop.addEventListener('abort', stopped);
    // Until it says otherwise, and where the caller leaves early.
    let end: E | Interruption = failure(new EngineError('Internal', 'The engine stopped without saying how the job ended.'));
    try {
      for await (const event of call(engine, stop)) {
        if (isEnd(event)) {
          end = event;
          break;
        }
        yield event;
      }
    } catch (error) {
      end = isStopped() ? { type: 'cancelled' } : failure(await this.#explain(error, engine, path));
    } finally {
      stop.removeEventListener('abort', stopped);
      clearTimeout(killing);
      // It has nothing more to do, and needs no time for taking itself down.
      engine.kill();
      if (end.type !== 'done') await removeLeftBehind(engine, temporaryPaths);
    }
    yield end;
  }

  /** Throws EngineError NativeUnavailable. */
  #start(): EngineProcess {
    const { modulePath, log } = this.options;
    if (!existsSync(modulePath)) {
      throw new EngineError('NativeUnavailable', `The engine ${modulePath} is missing. Build it with: npm run build`, { path: modulePath });
    }
    const engine = new EngineProcess(modulePath, log ?? (() => undefined));
    this.#running.add(engine);
    void engine.ended.then(() => this.#running.delete(engine));
    return engine;
  }

  /** An error that the engine reported is told as it is; a lost connection by how the process ended. */
  async #explain(error: unknown, engine: EngineProcess, path?: string): Promise<EngineError> {
    if (error instanceof EngineError) return error;
    // The channel may close a little before the process ends.
    const killing = setTimeout(() => engine.kill(), GRACE_MS);
    const end = await engine.ended;
    clearTimeout(killing);
    return engineCrash(end, path);
  }
}

function isTerminal({ type }: { readonly type: string }): boolean {
  return type === 'done' || type === 'failed' || type === 'cancelled';
}

function failure(error: EngineError): Interruption {
  return { type: 'failed', error: error.toJSON() };
}

/** Where the engine could not do it itself. */
async function removeLeftBehind(engine: EngineProcess, paths: readonly string[]): Promise<void> {
  await engine.ended;
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true }).catch(() => undefined)));
}
