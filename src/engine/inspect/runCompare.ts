/** runCompare: two models, each a file or shards → what differs between their tensors, quantized ones by the values they stand for. Reads only. */
import { EngineError } from '../errors';
import { DTYPES } from '../dtype';
import { ProgressMeter, type MeteredTask } from '../job/progressMeter';
import type { ComparedResult, DifferenceTask, Quantizer } from '../job/quantizer';
import type { TensorInfo } from '../safetensors/header';
import type { ComparedTensor, CompareEvent, CompareRequest } from './compareEvent';
import { meantTensors, readModelValues, valuesOf, type ModelValues } from './modelValues';
import { pairTensors, type TensorPair } from './pairTensors';
import { interruption } from './runInspect';

const PROGRESS_INTERVAL_SECONDS = 0.1;

/** Ends with exactly one of `done`, `failed` and `cancelled`, and never throws. */
export async function* runCompare(
  request: CompareRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<CompareEvent, void, undefined> {
  const startedAt = performance.now();
  try {
    const reference = await readModelValues(request.reference);
    const other = await readModelValues(request.other);
    const overall = yield* compare(reference, other, request.threads, quantizer, signal);
    yield { type: 'done', ...overall, seconds: (performance.now() - startedAt) / 1000 };
  } catch (error) {
    yield interruption(error, signal);
  }
}

type Overall = Pick<Extract<CompareEvent, { readonly type: 'done' }>, 'relativeError' | 'of'>;

async function* compare(
  reference: ModelValues,
  other: ModelValues,
  threads: number,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<CompareEvent, Overall, undefined> {
  const pairs = pairTensors(meantTensors(reference), meantTensors(other));
  yield { type: 'paired', tensors: pairs.map(({ row }) => row) };
  const referenceFiles = reference.source.files;
  const tasks: DifferenceTask[] = [];
  for (const [id, { row, shape, ...infos }] of pairs.entries()) {
    signal.throwIfAborted();
    if (row.state !== 'pending' || infos.reference === undefined || infos.other === undefined || shape === undefined) continue;
    const left = valuesOf(reference, infos.reference, { firstFile: 0, shape });
    const right = valuesOf(other, infos.other, { firstFile: referenceFiles.length, shape });
    if (typeof left === 'string') yield incomparable(id, row, left);
    else if (typeof right === 'string') yield incomparable(id, row, right);
    else tasks.push({ kind: 'difference', id, name: row.name, reference: left, other: right });
  }
  const coded = new Set(
    pairs.flatMap((pair, id) =>
      reference.byCodes.has(pair.reference?.name ?? '') || other.byCodes.has(pair.other?.name ?? '') ? [id] : [],
    ),
  );
  let squaredError = 0;
  let squaredReference = 0;
  const meter = new ProgressMeter(new Map(tasks.map(({ id, name, ...sides }): [number, MeteredTask] => [id, { name, ...size(sides) }])));
  let lastProgress = -Infinity;
  const job = { files: [...referenceFiles, ...other.source.files], tasks, device: 'cpu', threads };
  for await (const event of tasks.length === 0 ? [] : quantizer.run(job, signal)) {
    if (event.type === 'started') meter.started(event.id);
    else if (event.type === 'progress') meter.advanced(event.id, event.fraction);
    else if (event.type === 'compared') {
      meter.finished(event.id);
      // Counters and masks are no weights: one large number among them would drown every error.
      if (coded.size > 0 ? coded.has(event.id) : isFloat(pairs[event.id]?.reference)) {
        squaredError += event.squaredError;
        squaredReference += event.squaredSource;
      }
      yield { type: 'tensor', index: event.id, tensor: comparedTensor(pairs, event.id, event) };
    }
    const now = performance.now() / 1000;
    if (now - lastProgress < PROGRESS_INTERVAL_SECONDS) continue;
    lastProgress = now;
    const { fraction, bytesPerSecond, remainingSeconds } = meter.snapshot();
    yield { type: 'progress', fraction, bytesPerSecond, ...(remainingSeconds === undefined ? {} : { remainingSeconds }) };
  }
  return { relativeError: relative(squaredError, squaredReference), of: coded.size > 0 ? 'quantized' : 'all' };
}

function incomparable(index: number, row: ComparedTensor, reason: string): CompareEvent {
  return { type: 'tensor', index, tensor: { ...row, state: 'incomparable', reason } };
}

function comparedTensor(pairs: readonly TensorPair[], id: number, result: ComparedResult): ComparedTensor {
  const row = pairs[id]?.row;
  if (row === undefined) throw new EngineError('Internal', `the quantizer told of task ${id}, which the comparison does not have`);
  const { squaredError, squaredSource, maxAbsoluteError, nonFiniteCount } = result;
  return {
    ...row,
    state: result.equal ? 'equal' : 'changed',
    error: {
      relative: relative(squaredError, squaredSource),
      sqnrDecibels: squaredError === 0 ? Infinity : 10 * Math.log10(squaredSource / squaredError),
      largest: maxAbsoluteError,
      nonFiniteCount,
    },
  };
}

function isFloat(tensor: TensorInfo | undefined): boolean {
  return tensor !== undefined && DTYPES[tensor.dtype].kind === 'float';
}

function relative(squaredError: number, squaredReference: number): number {
  return squaredError === 0 ? 0 : Math.sqrt(squaredError / squaredReference);
}

function size({ reference, other }: Pick<DifferenceTask, 'reference' | 'other'>): { readonly work: number; readonly bytes: number } {
  const bytes = reference.range.length + other.range.length;
  return { work: bytes, bytes };
}
