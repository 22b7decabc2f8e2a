/** runInspect: one tensor of a file → what its values are like. Reads only. */
import { EngineError } from '../errors';
import type { InspectTask, Quantizer, TensorValues } from '../job/quantizer';
import type { TensorInfo } from '../safetensors/header';
import { openModel } from '../safetensors/modelSource';
import type { InspectEvent, InspectInterruption, InspectRequest, TensorStatistics } from './inspectEvent';
import { readModelValues, valuesOf, type ModelValues } from './modelValues';

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

async function* inspect(
  { path, tensor: name, threads }: InspectRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<InspectEvent, TensorStatistics, undefined> {
  const model = await readModelValues(path);
  const tensor = model.source.header.byName.get(name);
  if (tensor === undefined)
    throw new EngineError('FileChanged', `${path} no longer has a tensor "${name}". Open the file again.`, { path, tensor: name });
  const values = valuesOf(model, tensor, { firstFile: 0, shape: model.byCodes.get(name)?.shape ?? tensor.shape });
  if (typeof values === 'string') throw unreadable(path, name, values);
  const task = inspectTask(tensor, values);
  let result: TensorStatistics | undefined;
  for await (const event of quantizer.run({ files: model.source.files, tasks: [task], device: 'cpu', threads }, signal)) {
    if (event.type === 'progress') yield { type: 'progress', fraction: event.fraction };
    else if (event.type === 'inspected') result = { ...event, ...(await scalesOf(model, tensor)) };
  }
  if (result === undefined) throw new EngineError('Internal', 'the quantizer ended without statistics', { tensor: name });
  return result;
}

async function scalesOf(model: ModelValues, tensor: TensorInfo): Promise<Pick<TensorStatistics, 'scale' | 'scales'>> {
  const scales = model.byCodes.get(tensor.name)?.scales;
  if (scales === undefined) return {};
  if (scales.dtype !== 'F32' || scales.end - scales.begin !== 4) return { scales: { tensor: scales.name, shape: scales.shape } };
  const file = await openModel(model.source.path);
  try {
    const bytes = await file.readTensor(scales);
    return { scale: { value: new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true), tensor: scales.name } };
  } finally {
    await file.close();
  }
}

function inspectTask({ name, shape, begin, end }: TensorInfo, values: TensorValues): InspectTask {
  const [height = 1, ...rest] = shape;
  const { rows, columns } = values.codes ?? { rows: height, columns: rest.reduce((product, size) => product * size, 1) };
  const isEmpty = end === begin;
  return { kind: 'inspect', id: 0, name, values, rows: isEmpty ? 0 : rows, columns: isEmpty ? 0 : columns };
}

function unreadable(path: string, tensor: string, reason: string): EngineError {
  return new EngineError('InvalidRecipe', `The values of "${tensor}" cannot be read: ${reason} Its bytes can be seen as hex.`, {
    path,
    tensor,
  });
}
