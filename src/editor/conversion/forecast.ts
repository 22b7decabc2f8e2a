/**
 * forecast: about how long a plan takes and how much memory, from the work that each tensor is and what the last conversion on the device
 * came to. Pure.
 */
import { propagationWork, secondsOf, workOf, type SizedTensor } from '../../engine/job/estimate';
import type { JobReport, TensorReport } from '../../engine/job/report';
import type { Plan } from '../../engine/plan/plan';
import type { Recipe } from '../../engine/plan/recipe';

/** How a device compares with the estimate, as the last conversion on it showed. */
export interface Rate {
  /** Wall time of the conversion ÷ estimated time. */
  readonly timeFactor: number;
  /** What a job takes beside its tensors. */
  readonly overheadSeconds: number;
  /** The same of sending samples through the model, where that was done. */
  readonly samplesFactor?: number;
  /** Peak memory ÷ modelled memory. */
  readonly memoryFactor: number;
}

type DeviceKind = 'cpu' | 'cuda';
/** Before anything was measured: on the slow side, so that waiting ends early rather than late. */
const ASSUMED: Readonly<Record<DeviceKind, Required<Rate>>> = {
  cpu: { timeFactor: 4, overheadSeconds: 0.5, samplesFactor: 2, memoryFactor: 1 },
  cuda: { timeFactor: 3, overheadSeconds: 1.5, samplesFactor: 0.5, memoryFactor: 1 },
};

/** A shorter conversion says more of the start than of the work. */
const LEAST_SECONDS_TO_LEARN_FROM = 0.2;
const PROCESS_BYTES = 90e6;

export function forecast(
  plan: Plan,
  device: DeviceKind,
  rate: Rate | undefined,
): { readonly seconds: number; readonly memoryBytes: number } {
  const { timeFactor, overheadSeconds, memoryFactor, samplesFactor } = { ...ASSUMED[device], ...rate };
  const modelled = modelOf(plan, device);
  return {
    seconds: overheadSeconds + timeFactor * modelled.seconds + samplesFactor * modelled.samplesSeconds,
    memoryBytes: memoryFactor * modelled.memoryBytes,
  };
}

interface Modelled {
  readonly seconds: number;
  /** Before the first tensor is rounded. */
  readonly samplesSeconds: number;
  readonly memoryBytes: number;
}

const knownModels: Readonly<Record<DeviceKind, WeakMap<Plan, Modelled>>> = { cpu: new WeakMap(), cuda: new WeakMap() };

/** Made once for each plan: rates, free memory and choices change more often. */
function modelOf(plan: Plan, device: DeviceKind): Modelled {
  const known = knownModels[device].get(plan);
  if (known !== undefined) return known;
  const { tensors, recipe } = plan;
  const modelled = {
    seconds: modelledSeconds(tensors, recipe, device),
    samplesSeconds: secondsOf(propagationWork(tensors, recipe), device),
    memoryBytes: modelledMemory(tensors, recipe),
  };
  knownModels[device].set(plan, modelled);
  return modelled;
}

/** `undefined` where the job was too short to say anything. */
export function rateOf(report: JobReport): Rate | undefined {
  const { summary, recipe } = report;
  const device: DeviceKind = summary.device.startsWith('cuda') ? 'cuda' : 'cpu';
  const tensors = report.tensors.map((tensor) => sized(tensor, recipe));
  const modelled = modelledSeconds(tensors, recipe, device);
  if (summary.seconds.convert < LEAST_SECONDS_TO_LEARN_FROM || modelled === 0) return undefined;
  const { convert, total, statistics = 0 } = summary.seconds;
  const samples = secondsOf(propagationWork(tensors, recipe), device);
  return {
    timeFactor: convert / modelled,
    overheadSeconds: Math.max(0, total - convert - statistics),
    ...(statistics > 0 && samples > 0 ? { samplesFactor: statistics / samples } : {}),
    memoryFactor: summary.peakMemoryBytes / modelledMemory(tensors, recipe),
  };
}

/** How far the optimiser went, for the help beside its bound; nothing where it did not iterate. */
export function sweepsSentence({ recipe, tensors }: JobReport): string | undefined {
  const sweeps = tensors.flatMap(({ sweeps: count }) => (count === undefined ? [] : [count])).sort((a, b) => a - b);
  const [most, median] = [sweeps.at(-1), sweeps[sweeps.length >> 1]];
  if (recipe.rounding === 'nearest' || most === undefined || median === undefined || most === 0) return undefined;
  const unit = recipe.rounding === 'tpec' ? 'steps' : 'sweeps';
  return most === median
    ? `On the last model ${most} ${unit} ran.`
    : `On the last model ${median} ${unit} ran for most tensors, at most ${most}.`;
}

function modelledSeconds(tensors: readonly SizedTensor[], recipe: Recipe, device: DeviceKind): number {
  return tensors.reduce((sum, tensor) => sum + secondsOf(workOf(tensor, recipe), device), 0);
}

/** The largest matrix in single precision, its codes and errors, and the statistics of its columns. */
function modelledMemory(tensors: readonly SizedTensor[], recipe: Recipe): number {
  const largest = tensors.reduce((most, { quantization }) => {
    if (quantization === undefined) return most;
    const { rows, columns, statistics } = quantization;
    const inputs = recipe.rounding === 'nearest' ? 0 : 16 * columns ** 2;
    const outputs = (statistics?.outputs ?? 'none') === 'none' ? 0 : 16 * rows ** 2;
    return Math.max(most, 12 * rows * columns + inputs + outputs);
  }, 0);
  return PROCESS_BYTES + largest;
}

function sized({ action, shape, bytesIn, statistics }: TensorReport, { rounding }: Recipe): SizedTensor {
  const [rows = 0, ...rest] = shape;
  const columns = rest.reduce((product, size) => product * size, 1);
  const source = { begin: 0, end: bytesIn };
  if (action !== 'quantize') return { action, source };
  return { action, source, quantization: { rows, columns, rounding, ...(statistics === undefined ? {} : { statistics }) } };
}
