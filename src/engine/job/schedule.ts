/** schedule: a plan becomes the tasks of a quantizer, in a good order. Pure. A task's id is its tensor's index in `plan.tensors`. */
import { EngineError } from '../errors';
import { isSourceDtype } from '../dtype';
import type { OutputTensor, Plan, PlannedTensor, SourceCodes } from '../plan/plan';
import type { TensorInfo } from '../safetensors/header';
import { workOf } from './estimate';
import type { CopyTask, DequantizeTask, FileRange, QuantizeTask } from './quantizer';
import { rangeOf, sourceValuesOf, storedCodesOf } from './sourceValues';
import { statisticsOf, type StatisticsSources } from './statisticsTerms';

export type ConversionTask = CopyTask | QuantizeTask | DequantizeTask;

/**
 * Costly matrices come first, so that none of them runs alone at the end; what only moves bytes follows in file order,
 * which reads the disk from front to back. Tensors without bytes need no task.
 */
export function scheduleTasks(
  plan: Plan,
  sources: StatisticsSources = { propagated: new Map(), means: new Map() },
): readonly ConversionTask[] {
  const places = outputPlaces(plan);
  const tasks = plan.tensors.flatMap((tensor, id) => taskOf(tensor, id, plan, places.get(tensor.source.name) ?? [], sources) ?? []);
  const cost = (task: ConversionTask): number => {
    const tensor = plan.tensors[task.id];
    return tensor?.quantization === undefined || tensor.quantization.rounding === 'nearest' ? 0 : workOf(tensor, plan.recipe).multiplyAdds;
  };
  return tasks.sort((a, b) => cost(b) - cost(a) || placeOf(a).file - placeOf(b).file || placeOf(a).offset - placeOf(b).offset);
}

/** Where a task reads. */
export function placeOf(task: ConversionTask): FileRange {
  return task.kind === 'dequantize' ? task.values.range : task.source;
}

/** The source tensor's name → the output tensors that hold what becomes of it. */
function outputPlaces(plan: Plan): ReadonlyMap<string, readonly OutputTensor[]> {
  const places = new Map<string, OutputTensor[]>();
  for (const output of plan.output.tensors) {
    if (output.origin.kind === 'literal') continue;
    const { name } = output.origin.source;
    const known = places.get(name);
    if (known === undefined) places.set(name, [output]);
    else known.push(output);
  }
  return places;
}

function taskOf(
  tensor: PlannedTensor,
  id: number,
  plan: Plan,
  places: readonly OutputTensor[],
  sources: StatisticsSources,
): ConversionTask | undefined {
  const { name } = tensor.source;
  const { stored } = tensor;
  const source = rangeOf(tensor.source);
  const placesOf = (kind: 'copy' | 'dequantized' | 'codes' | 'scale' | 'tensorScale'): readonly number[] =>
    places.filter(({ origin }) => origin.kind === kind).map((place) => place.begin);
  switch (tensor.action) {
    case 'remove':
      return undefined;
    case 'keep':
      if (stored !== undefined) return dequantizeTask(tensor.source, stored, id, only(placesOf('dequantized'), name));
      return source.length === 0 ? undefined : { kind: 'copy', id, name, source, outputOffset: only(placesOf('copy'), name) };
    case 'quantize': {
      const { quantization } = tensor;
      if (quantization === undefined) throw new EngineError('Internal', `the plan does not say how "${name}" is quantized`);
      const { topK, numIter, seed } = plan.recipe;
      return {
        kind: 'quantize',
        id,
        name,
        source,
        ...(stored === undefined ? { dtype: quantization.sourceDtype } : { dtype: 'F32', codes: storedCodesOf(stored) }),
        rows: quantization.rows,
        columns: quantization.columns,
        weightOffset: only(placesOf('codes'), name),
        scaleOffsets: placesOf('scale'),
        tensorScaleOffsets: placesOf('tensorScale'),
        ...quantization.stored.storage,
        rounding: quantization.rounding,
        topK: topK === 'full' ? 0 : topK,
        numIter,
        seed,
        ...statisticsOf(quantization, sources),
      };
    }
  }
}

export function dequantizeTask({ name, dtype }: TensorInfo, stored: SourceCodes, id: number, outputOffset: number): DequantizeTask {
  if (!isSourceDtype(dtype)) throw new EngineError('Internal', `"${name}" cannot be dequantized to ${dtype}`, { tensor: name });
  return { kind: 'dequantize', id, name, values: sourceValuesOf(stored), dtype, outputOffset };
}

function only(offsets: readonly number[], name: string): number {
  const [offset] = offsets;
  if (offset === undefined || offsets.length > 1)
    throw new EngineError('Internal', `the plan gives "${name}" ${offsets.length} places instead of one`);
  return offset;
}
