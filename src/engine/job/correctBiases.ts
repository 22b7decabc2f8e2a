/** correctBiases: after the weights of an output are written, its biases take over what rounding did to the mean outputs of their layers. */
import { open } from 'node:fs/promises';
import { formatQuantity } from '../../base/format';
import { isValueDtype } from '../dtype';
import { EngineError } from '../errors';
import { calibratedMeanOf } from '../plan/calibration';
import type { OutputOrigin, Plan, PlannedTensor, TensorQuantization } from '../plan/plan';
import type { TensorInfo } from '../safetensors/header';
import type { ModelSource } from '../safetensors/modelSource';
import type { ConvertRequest } from './convertRequest';
import type { JobEvent } from './jobEvent';
import type { PartialOutput } from './partialOutput';
import type { CorrectBiasTask, FileRange, Quantizer, QuantizeTask, TensorValues } from './quantizer';
import type { ReportBuilder } from './reportBuilder';
import { scheduleTasks } from './schedule';
import { codesOf } from './sourceValues';
import type { StatisticsSources } from './statisticsTerms';

export interface CorrectionContext {
  readonly request: ConvertRequest;
  readonly source: ModelSource;
  readonly quantizer: Quantizer;
  readonly report: ReportBuilder;
  readonly output: PartialOutput;
  /** Files that were read besides the source's, and what is in them. */
  readonly statistics: { readonly files: readonly string[]; readonly sources: StatisticsSources };
}

/** The output holds everything that the plan says, biases as they were. A task's id is its bias's index in `plan.tensors`. */
export async function* correctBiases(
  plan: Plan,
  context: CorrectionContext,
  signal: AbortSignal,
): AsyncGenerator<JobEvent, void, undefined> {
  const { request, source, quantizer, report, output, statistics } = context;
  if (!plan.tensors.some(({ correction }) => correction !== undefined)) return;
  const files = [...source.files, ...statistics.files, output.path];
  const written = await readTensorScales(plan, output.path);
  const tasks = correctionTasks(plan, { ...statistics.sources, tensorScales: written }, files.length - 1);
  yield { type: 'log', message: `correcting ${formatQuantity(tasks.length, 'bias', 'biases')}` };
  if (tasks.length === 0) return;
  const job = { files, output: output.path, tasks, device: 'cpu', threads: request.threads };
  for await (const event of quantizer.run(job, signal)) {
    const tensor = event.type === 'compared' ? plan.tensors[event.id] : undefined;
    if (event.type === 'compared' && tensor !== undefined) report.corrected(tensor, event);
  }
}

/** What is known beside the plan: mean inputs, and the scales of whole tensors that stand in the output. */
type Known = StatisticsSources & { readonly tensorScales: ReadonlyMap<string, number> };

/** Scales that stand beside others are single numbers in the output, and the quantizer takes them as numbers. */
async function readTensorScales(plan: Plan, path: string): Promise<ReadonlyMap<string, number>> {
  const scales = new Map<string, number>();
  const places = plan.output.tensors.filter(({ origin }) => origin.kind === 'tensorScale');
  if (places.length === 0) return scales;
  const file = await open(path, 'r');
  try {
    for (const { origin, begin } of places) {
      if (origin.kind !== 'tensorScale') continue;
      const { buffer } = await file.read(Buffer.alloc(4), 0, 4, begin);
      const { name } = origin.source;
      const value = buffer.readFloatLE(0);
      scales.set(name, quantizationOf(plan, name).stored.storage.tensorScaleForm === 'divisor' ? 1 / value : value);
    }
  } finally {
    await file.close();
  }
  return scales;
}

export function correctionTasks(plan: Plan, sources: Known, outputFile: number): readonly CorrectBiasTask[] {
  const quantized = new Map(
    scheduleTasks(plan, sources).flatMap((task): [string, QuantizeTask][] => (task.kind === 'quantize' ? [[task.name, task]] : [])),
  );
  return plan.tensors.flatMap((tensor, id) => {
    const weight = tensor.correction === undefined ? undefined : quantized.get(tensor.correction.weight);
    return weight === undefined ? [] : [taskOf(tensor, id, weight, plan, sources, outputFile)];
  });
}

function taskOf(
  { source: bias, correction }: PlannedTensor,
  id: number,
  weight: QuantizeTask,
  plan: Plan,
  sources: Known,
  outputFile: number,
): CorrectBiasTask {
  const { calibration } = sources;
  const calibrated = calibratedMeanOf(calibration?.calibration, weight.name);
  const inputs =
    correction?.mean === 'calibrated' && calibrated !== undefined && calibration !== undefined
      ? valuesOf(calibrated, calibration.file)
      : sources.means.get(weight.name);
  if (inputs === undefined) throw new EngineError('Internal', `the mean input of "${weight.name}" is not there`, { tensor: bias.name });
  return {
    kind: 'correctBias',
    id,
    name: bias.name,
    rows: weight.rows,
    columns: weight.columns,
    weights: { range: weight.source, dtype: weight.dtype, scale: 1, ...(weight.codes === undefined ? {} : { codes: weight.codes }) },
    codes: writtenValues(weight, plan, sources.tensorScales.get(weight.name), outputFile),
    inputs,
    bias: valuesOf(bias, bias.file ?? 0),
    outputOffset: outputRange(plan, bias.name, 'copy', outputFile).offset,
  };
}

/** A weight as it stands in the output, with its scales. */
function writtenValues(weight: QuantizeTask, plan: Plan, tensorScale: number | undefined, outputFile: number): TensorValues {
  const { storage } = quantizationOf(plan, weight.name).stored;
  const { rows, columns } = weight;
  const scales = outputRange(plan, weight.name, 'scale', outputFile);
  const codes = codesOf({ storage, rows, columns }, { scales, ...(tensorScale === undefined ? {} : { tensorScale }) });
  return { range: outputRange(plan, weight.name, 'codes', outputFile), dtype: 'F8_E4M3', scale: 1, codes };
}

function quantizationOf(plan: Plan, name: string): TensorQuantization {
  const quantization = plan.tensors.find(({ source }) => source.name === name)?.quantization;
  if (quantization === undefined) throw new EngineError('Internal', `the plan does not say how "${name}" is quantized`, { tensor: name });
  return quantization;
}

function outputRange(plan: Plan, source: string, kind: Exclude<OutputOrigin['kind'], 'literal'>, file: number): FileRange {
  const found = plan.output.tensors.find(({ origin }) => origin.kind === kind && origin.source.name === source);
  if (found === undefined) throw new EngineError('Internal', `the plan has no place for the ${kind} of "${source}"`, { tensor: source });
  return { file, offset: found.begin, length: found.end - found.begin };
}

function valuesOf({ name, dtype, begin, end }: TensorInfo, file: number): TensorValues {
  if (!isValueDtype(dtype)) throw new EngineError('Internal', `"${name}" cannot be read as numbers`, { tensor: name });
  return { range: { file, offset: begin, length: end - begin }, dtype, scale: 1 };
}
