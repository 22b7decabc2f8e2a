/** runInspect: one tensor of a file → what its values are like. Reads only. */
import { EngineError } from '../errors';
import { isValueDtype } from '../dtype';
import type { InspectTask, Quantizer } from '../job/quantizer';
import type { TensorInfo } from '../safetensors/header';
import { fileOf, readModelSource, sourceKind } from '../safetensors/modelSource';
import { openSafetensors, type SafetensorsFile } from '../safetensors/reader';
import type { InspectEvent, InspectInterruption, InspectRequest, TensorStatistics } from './inspectEvent';
import { readTensorScale } from './tensorScales';

/** Ends with exactly one of `done`, `failed` and `cancelled`, and never throws. */
export async function* runInspect(
  request: InspectRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<InspectEvent, void, undefined> {
  try {
    yield { type: 'done', statistics: yield* inspect(request, quantizer, signal) };
  } catch (error) {
    yield interruption(error, signal);
  }
}

export function interruption(error: unknown, signal: AbortSignal): InspectInterruption {
  const failure = EngineError.wrap(error);
  return signal.aborted || failure.code === 'Cancelled' ? { type: 'cancelled' } : { type: 'failed', error: failure.toJSON() };
}

/** Throws EngineError FileChanged where the file no longer has the tensor. */
export function tensorNamed(file: SafetensorsFile, name: string): TensorInfo {
  const tensor = file.header.byName.get(name);
  if (tensor !== undefined) return tensor;
  throw new EngineError('FileChanged', `${file.path} no longer has a tensor "${name}". Open the file again.`, {
    path: file.path,
    tensor: name,
  });
}

async function* inspect(
  { path, tensor: name, threads }: InspectRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<InspectEvent, TensorStatistics, undefined> {
  const file = await openSafetensors(await fileWith(path, name));
  try {
    const tensor = tensorNamed(file, name);
    const scale = await readTensorScale(file, tensor);
    if (scale.kind === 'unsupported') throw unreadable(path, name, scale.reason);
    const task = inspectTask(tensor, scale.value, path);
    let result: TensorStatistics | undefined;
    for await (const event of quantizer.run({ files: [file.path], tasks: [task], device: 'cpu', threads }, signal)) {
      if (event.type === 'progress') yield { type: 'progress', fraction: event.fraction };
      else if (event.type === 'inspected') {
        result = { ...event, ...(scale.tensor === undefined ? {} : { scale: { value: scale.value, tensor: scale.tensor } }) };
      }
    }
    if (result === undefined) throw new EngineError('Internal', 'the quantizer ended without statistics', { tensor: name });
    return result;
  } finally {
    await file.close();
  }
}

/** Of a model in shards, the one that has the tensor. */
async function fileWith(path: string, tensor: string): Promise<string> {
  if ((await sourceKind(path)) === 'file') return path;
  const source = await readModelSource(path);
  const found = source.header.byName.get(tensor);
  return found === undefined ? path : fileOf(source, found);
}

function inspectTask({ name, dtype, shape, begin, end }: TensorInfo, scale: number, path: string): InspectTask {
  if (!isValueDtype(dtype)) throw unreadable(path, name, `Its dtype ${dtype} does not hold one number in each byte or more.`);
  const [rows = 1, ...rest] = shape;
  const columns = rest.reduce((product, size) => product * size, 1);
  const isEmpty = end === begin;
  const values = { range: { file: 0, offset: begin, length: end - begin }, dtype, scale };
  return { kind: 'inspect', id: 0, name, values, rows: isEmpty ? 0 : rows, columns: isEmpty ? 0 : columns };
}

function unreadable(path: string, tensor: string, reason: string): EngineError {
  return new EngineError('InvalidRecipe', `The values of "${tensor}" cannot be read: ${reason} Its bytes can be seen as hex.`, {
    path,
    tensor,
  });
}
