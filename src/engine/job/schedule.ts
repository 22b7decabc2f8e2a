/** schedule: a plan becomes the tasks of a quantizer, in a good order. Pure. A task's id is its tensor's index in `plan.tensors`. */
import { EngineError } from '../errors';
import type { OutputTensor, Plan, PlannedTensor } from '../plan/plan';
import { workOf } from './estimate';
import type { CopyTask, QuantizeTask } from './quantizer';
import { statisticsOf, type StatisticsSources } from './statisticsTerms';

/**
 * Costly matrices come first, so that none of them runs alone at the end; what only moves bytes follows in file order,
 * which reads the disk from front to back. Tensors without bytes need no task.
 */
export function scheduleTasks(
  plan: Plan,
  sources: StatisticsSources = { propagated: new Map(), means: new Map() },
): readonly (CopyTask | QuantizeTask)[] {
  const places = outputPlaces(plan);
  const tasks = plan.tensors.flatMap((tensor, id) => taskOf(tensor, id, plan, places.get(tensor.source.name) ?? [], sources) ?? []);
  const cost = (task: CopyTask | QuantizeTask): number => {
    const tensor = plan.tensors[task.id];
    return tensor?.quantization === undefined || tensor.quantization.rounding === 'nearest' ? 0 : workOf(tensor, plan.recipe).multiplyAdds;
  };
  return tasks.sort((a, b) => cost(b) - cost(a) || a.source.file - b.source.file || a.source.offset - b.source.offset);
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
): CopyTask | QuantizeTask | undefined {
  const { name, begin, end, file = 0 } = tensor.source;
  const source = { file, offset: begin, length: end - begin };
  const placesOf = (kind: 'copy' | 'codes' | 'scale' | 'tensorScale'): readonly number[] =>
    places.filter(({ origin }) => origin.kind === kind).map((place) => place.begin);
  switch (tensor.action) {
    case 'remove':
      return undefined;
    case 'keep':
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
        dtype: quantization.sourceDtype,
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

function only(offsets: readonly number[], name: string): number {
  const [offset] = offsets;
  if (offset === undefined || offsets.length > 1)
    throw new EngineError('Internal', `the plan gives "${name}" ${offsets.length} places instead of one`);
  return offset;
}
