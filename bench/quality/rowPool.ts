/** RowPool: threads that run the model, one row of tokens at a time, each taking the next row as it becomes free. */
import { parentPort, Worker } from 'node:worker_threads';
import { logProbabilities } from '../model/divergence';
import { forward, loadLlama, type Llama } from '../model/llama';
import { matrix, type Matrix } from '../model/matrix';
import { readTensorFile } from '../model/tensorFile';

interface RowRequest {
  readonly modelPath: string;
  readonly tokens: Uint8Array;
}

export class RowPool {
  readonly #workers: readonly Worker[];

  /** `script` is the bundle whose worker side calls `serveRows`. */
  constructor(script: string, threads: number) {
    this.#workers = Array.from({ length: threads }, () => new Worker(script));
  }

  /** Log probabilities of the next token (tokens × vocabulary) for every row. Not for concurrent calls. */
  async logProbabilities(modelPath: string, rows: readonly Uint8Array[]): Promise<readonly Matrix[]> {
    const results: Matrix[] = [];
    let next = 0;
    const serve = async (worker: Worker): Promise<void> => {
      for (let index = next; index < rows.length; index = next) {
        next += 1;
        results[index] = await ask(worker, { modelPath, tokens: rows[index]! });
      }
    };
    await Promise.all(this.#workers.map(serve));
    return results;
  }

  async dispose(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

/** The worker's side: answers rows until the pool is disposed of. */
export function serveRows(): void {
  let loaded: { readonly path: string; readonly model: Llama } | undefined;
  const answer = async ({ modelPath, tokens }: RowRequest): Promise<void> => {
    if (loaded?.path !== modelPath) loaded = { path: modelPath, model: loadLlama(await readTensorFile(modelPath)) };
    const result = logProbabilities(forward(loaded.model, tokens));
    parentPort?.postMessage(result, [result.values.buffer as ArrayBuffer]);
  };
  // A rejection is left unhandled on purpose: it ends the worker, and the pool's caller gets the error.
  parentPort?.on('message', (request: RowRequest) => void answer(request));
}

async function ask(worker: Worker, request: RowRequest): Promise<Matrix> {
  const reply = await new Promise<Matrix>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (message: Matrix) => {
      worker.off('error', reject);
      resolve(message);
    });
    worker.postMessage(request);
  });
  return matrix(reply.rows, reply.columns, reply.values);
}
