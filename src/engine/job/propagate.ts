/** propagate: sends samples through the model's own weights and keeps, in a temporary file, what reaches each layer. */
import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isSourceDtype } from '../dtype';
import { EngineError } from '../errors';
import type { Feeders } from '../families/feeders';
import type { FeederStep } from '../families/feederSteps';
import type { SourceCodes } from '../plan/plan';
import type { Recipe } from '../plan/recipe';
import type { TensorInfo } from '../safetensors/header';
import { temporaryPathFor } from '../safetensors/temporaryPath';
import type { ConvertRequest } from './convertRequest';
import type { PropagateStep, PropagateTask, Quantizer, TensorValues } from './quantizer';
import { sourceValuesOf } from './sourceValues';
import type { PropagatedInput } from './statisticsTerms';

export interface PropagatedInputs {
  readonly byWeight: ReadonlyMap<string, PropagatedInput>;
  /** Where each weight's input has its mean: F32, one for each column. */
  readonly means: ReadonlyMap<string, TensorValues>;
  /** What the device had to say, e.g. that the CPU did it instead. */
  readonly notes: readonly string[];
  readonly peakDeviceMemoryBytes: number;
}

/** The temporary file of a job with this token. */
export function statisticsPathFor({ output }: ConvertRequest, token: string): string {
  return temporaryPathFor(resolve(output), `${token}-statistics`);
}

/** The file's index among the files of the jobs that use it. Throws EngineError; removes the file then. */
export async function propagate(
  feeders: Feeders,
  wanted: ReadonlySet<string>,
  /** Weights that the source has as codes, by name. */
  stored: ReadonlyMap<string, SourceCodes>,
  files: { readonly sources: readonly string[]; readonly statistics: string; readonly index: number },
  environment: {
    readonly recipe: Recipe;
    readonly quantizer: Quantizer;
    readonly device: string;
    readonly threads: number;
    readonly signal: AbortSignal;
  },
): Promise<PropagatedInputs> {
  const { recipe, quantizer, device, threads, signal } = environment;
  const byWeight = new Map<string, PropagatedInput>();
  const means = new Map<string, TensorValues>();
  const steps: PropagateStep[] = [];
  let size = 0;
  const take = (length: number, dtype: 'F32' | 'BF16'): TensorValues => {
    const range = { file: files.index, offset: size, length };
    size += length;
    return { range, dtype, scale: 1 };
  };
  let needed = 0;
  const notes: string[] = [];
  let peakDeviceMemoryBytes = 0;
  for (const step of feeders.steps) {
    if (step.kind !== 'reach') {
      steps.push(nativeStep(step, (tensor) => valuesOf(tensor, stored.get(tensor.name))));
      continue;
    }
    const weights = step.weights.filter((weight) => wanted.has(weight));
    if (weights.length === 0) continue;
    const mean = take(4 * step.width, 'F32');
    const asSamples = 2 * recipe.calibSamples < 4 * step.width;
    const values = asSamples ? take(2 * step.width * recipe.calibSamples, 'BF16') : take(4 * step.width ** 2, 'F32');
    const kind = asSamples ? 'samples' : 'secondMoment';
    steps.push({ kind: 'store', a: step.a, meanOffset: mean.range.offset, offset: values.range.offset, as: kind });
    for (const weight of weights) {
      byWeight.set(weight, { kind, values });
      means.set(weight, mean);
    }
    needed = steps.length;
  }
  const task: PropagateTask = {
    kind: 'propagate',
    id: 0,
    name: 'propagated statistics',
    samples: recipe.calibSamples,
    seed: recipe.seed,
    registerCount: feeders.registerCount,
    // What comes after the last layer that is wanted is of no use.
    steps: steps.slice(0, needed),
  };
  try {
    const file = await open(files.statistics, 'wx');
    try {
      await file.truncate(size);
    } finally {
      await file.close();
    }
    const job = { files: files.sources, output: files.statistics, tasks: [task], device, threads };
    let written = false;
    for await (const event of quantizer.run(job, signal)) {
      written ||= event.type === 'copied';
      if (event.type === 'note') notes.push(event.message);
      if (event.type === 'finished') peakDeviceMemoryBytes = event.peakDeviceMemoryBytes ?? 0;
    }
    if (!written) throw new EngineError('Internal', 'the quantizer ended without propagated statistics');
  } catch (error) {
    await rm(files.statistics, { force: true });
    throw EngineError.wrap(error, { path: files.statistics });
  }
  return { byWeight, means, notes, peakDeviceMemoryBytes };
}

function nativeStep(step: Exclude<FeederStep, { readonly kind: 'reach' }>, values: (tensor: TensorInfo) => TensorValues): PropagateStep {
  switch (step.kind) {
    case 'gather':
      // A table of positions may stand in a batch of one.
      return { ...step, weight: values(step.weight), rows: step.weight.shape.slice(0, -1).reduce((product, size) => product * size, 1) };
    case 'linear': {
      const { bias, ...rest } = step;
      return { ...rest, weight: values(step.weight), rows: step.weight.shape[0] ?? 0, ...biasOf(bias, values) };
    }
    case 'rmsNorm':
    case 'layerNorm': {
      const { weight, bias, ...rest } = step;
      return { ...rest, ...(weight === undefined ? {} : { weight: values(weight) }), ...biasOf(bias, values) };
    }
    case 'repeatHeads': {
      const { headSize, ...rest } = step;
      return { ...rest, rows: headSize };
    }
    case 'noise':
    case 'time':
      return { kind: step.kind, out: step.out, rows: step.width };
    case 'slice': {
      const { width, ...rest } = step;
      return { ...rest, rows: width };
    }
    case 'activate':
    case 'multiply':
    case 'add':
    case 'modulate':
    case 'shuffle':
      return step;
  }
}

function biasOf(bias: TensorInfo | undefined, values: (tensor: TensorInfo) => TensorValues): { readonly bias?: TensorValues } {
  return bias === undefined ? {} : { bias: values(bias) };
}

function valuesOf({ name, dtype, begin, end, file = 0 }: TensorInfo, stored: SourceCodes | undefined): TensorValues {
  if (stored !== undefined) return sourceValuesOf(stored);
  if (!isSourceDtype(dtype)) throw new EngineError('Internal', `"${name}" cannot be read as numbers`, { tensor: name });
  return { range: { file, offset: begin, length: end - begin }, dtype, scale: 1 };
}
