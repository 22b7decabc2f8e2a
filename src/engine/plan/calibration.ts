/** calibration: what a calibration file says about the layers of a model. Its layout is in docs/calibration.md. Pure. */
import { isValueDtype, DTYPES } from '../dtype';
import { EngineError } from '../errors';
import type { Header, TensorInfo } from '../safetensors/header';
import type { KnownStatistics } from './statistics';

/** Each of these belongs to a layer, after whose name it stands. */
const KINDS = [
  '.input',
  '.input_second_moment',
  '.input_mean',
  '.input_diagonal',
  '.output_gradient',
  '.output_second_moment',
  '.output_diagonal',
] as const;
type Kind = (typeof KINDS)[number];
type Side = 'inputs' | 'outputs';

export interface LayerCalibration {
  readonly inputs?: CalibratedSide;
  readonly outputs?: CalibratedSide;
  readonly inputMean?: TensorInfo;
  /** A convolution whose rows see different channels: vectors of all groups together have a mean that is no row's. */
  readonly groups?: 'several';
  /** Sides that the file has, and of which it says nothing: all is zero. */
  readonly silent?: readonly Side[];
}

export interface CalibratedSide {
  readonly kind: 'samples' | 'secondMoment' | 'diagonal';
  readonly values: TensorInfo;
  /** How many samples stand behind it. */
  readonly samples: number;
  /** The least damping, in units of its mean diagonal, with which it is positive definite, where that is known to be more than usual. */
  readonly leastDamping?: number;
}

export interface Calibration {
  readonly path: string;
  readonly byWeight: ReadonlyMap<string, LayerCalibration>;
  /** Layers of the file that the model does not have, in its order. */
  readonly unmatched: readonly string[];
}

/** Throws EngineError InvalidCalibration, which names the file, the tensor and what it should be. */
export function readCalibration(path: string, calibration: Header, model: Header): Calibration {
  const layers = new Map<string, Partial<Record<Kind, TensorInfo>>>();
  for (const tensor of calibration.tensors) {
    const kind = kindOf(tensor.name);
    if (kind === undefined)
      return fail(path, tensor.name, `is of no known kind; a name is a layer's followed by one of ${KINDS.join(', ')}`);
    if (!isValueDtype(tensor.dtype) || DTYPES[tensor.dtype].kind !== 'float')
      return fail(path, tensor.name, `is ${tensor.dtype}; statistics are floating-point numbers`);
    const layer = tensor.name.slice(0, -kind.length);
    layers.set(layer, { ...layers.get(layer), [kind]: tensor });
  }
  if (layers.size === 0) return fail(path, undefined, 'has no tensors');
  const byWeight = new Map<string, LayerCalibration>();
  const unmatched: string[] = [];
  const named = new Map<string, string>();
  for (const [layer, tensors] of layers) {
    const weight = weightOf(layer, model);
    if (weight === undefined) {
      unmatched.push(layer);
      continue;
    }
    const before = named.get(weight.name);
    if (before !== undefined)
      return fail(path, undefined, `has two names for "${weight.name}": "${before}" and "${layer}". Remove one of them`);
    named.set(weight.name, layer);
    byWeight.set(weight.name, {
      ...layerCalibration(path, tensors, weight, (what) => samplesTold(path, calibration, layer, what)),
      ...groupsTold(path, calibration, layer),
    });
  }
  if (byWeight.size === 0) {
    const example = unmatched[0] ?? '';
    return fail(path, undefined, `is of another model: none of its ${unmatched.length} layers, such as "${example}", has a weight here`);
  }
  return { path, byWeight, unmatched };
}

/** For people who should know of layers that the model does not have. */
export function calibrationWarnings(calibration: Calibration | undefined): readonly string[] {
  const [example] = calibration?.unmatched ?? [];
  if (calibration === undefined || example === undefined) return [];
  const { path, byWeight, unmatched } = calibration;
  const verb = unmatched.length === 1 ? 'is' : 'are';
  const layers = `${unmatched.length} of ${byWeight.size + unmatched.length} layers of the calibration file`;
  return [`${path}: ${layers} ${verb} not in this model, such as "${example}".`];
}

/** What there is for one weight, in the words of a choice. */
export function calibrationOf(calibration: Calibration | undefined, weight: string): KnownStatistics['calibration'] {
  if (calibration === undefined) return 'none';
  const { inputs, outputs } = calibration.byWeight.get(weight) ?? {};
  if (inputs !== undefined) return outputs === undefined ? 'inputs' : 'both';
  return outputs === undefined ? 'no layer' : 'outputs';
}

/** Vectors whose mean is the layer's mean input: samples, else the mean itself. */
export function calibratedMeanOf(calibration: Calibration | undefined, weight: string): TensorInfo | undefined {
  const layer = calibration?.byWeight.get(weight);
  if (layer === undefined || layer.groups === 'several') return undefined;
  return layer.inputs?.kind === 'samples' ? layer.inputs.values : layer.inputMean;
}

function kindOf(name: string): Kind | undefined {
  return KINDS.find((kind) => name.endsWith(kind) && name.length > kind.length);
}

/** torch.compile and DataParallel wrap modules, and so put names of their own into those of the layers. */
function unwrapped(layer: string): string {
  return layer.replace(/^(?:(?:_orig_mod|module)\.)+/, '').replaceAll('._orig_mod.', '.');
}

function weightOf(name: string, model: Header): TensorInfo | undefined {
  return weightNamed(name, model) ?? (unwrapped(name) === name ? undefined : weightNamed(unwrapped(name), model));
}

function weightNamed(layer: string, model: Header): TensorInfo | undefined {
  const exact = model.byName.get(`${layer}.weight`);
  if (exact !== undefined) return exact;
  // A checkpoint's names have a prefix that the module which was calibrated does not know.
  const ending = `.${layer}.weight`;
  const found = model.tensors.filter(({ name }) => name.endsWith(ending));
  return found.length === 1 ? found[0] : undefined;
}

function layerCalibration(
  path: string,
  tensors: Partial<Record<Kind, TensorInfo>>,
  weight: TensorInfo,
  samplesOf: (what: Side) => number,
): LayerCalibration {
  const rows = weight.shape[0] ?? 1;
  const columns = weight.shape.slice(1).reduce((product, size) => product * size, 1);
  const side = (what: Side, size: number, names: readonly [Kind, Kind, Kind]): CalibratedSide | undefined => {
    const [samples, moment, diagonal] = names.map((name) => tensors[name]);
    if (samples !== undefined) {
      requireShape(path, samples, what, [undefined, size], weight);
      return { kind: 'samples', values: samples, samples: samples.shape[0] ?? 0 };
    }
    if (moment !== undefined) {
      requireShape(path, moment, what, [size, size], weight);
      return { kind: 'secondMoment', values: moment, samples: samplesOf(what) };
    }
    if (diagonal === undefined) return undefined;
    requireShape(path, diagonal, what, [size], weight);
    return { kind: 'diagonal', values: diagonal, samples: samplesOf(what) };
  };
  const inputs = side('inputs', columns, ['.input', '.input_second_moment', '.input_diagonal']);
  const outputs = side('outputs', rows, ['.output_gradient', '.output_second_moment', '.output_diagonal']);
  const inputMean = tensors['.input_mean'];
  if (inputMean !== undefined) requireShape(path, inputMean, 'inputs', [columns], weight);
  return {
    ...(inputs === undefined ? {} : { inputs }),
    ...(outputs === undefined ? {} : { outputs }),
    ...(inputMean === undefined ? {} : { inputMean }),
  };
}

function requireShape(
  path: string,
  { name, shape }: TensorInfo,
  what: Side,
  wanted: readonly (number | undefined)[],
  weight: TensorInfo,
): void {
  const fits = shape.length === wanted.length && wanted.every((size, index) => size === undefined || shape[index] === size);
  if (fits && shape.every((size) => size > 0)) return;
  const told = wanted.map((size) => size ?? 'samples').join(', ');
  const wantedSize = what === 'inputs' ? 'columns' : 'rows';
  fail(
    path,
    name,
    `has shape [${shape.join(', ')}] instead of [${told}]: "${weight.name}" is [${weight.shape.join(', ')}], and ${what} go by its ${wantedSize}`,
  );
}

/** From the metadata: whether the rows of a convolution's weight see channels of their own. One group where it is not told. */
function groupsTold(path: string, { metadata }: Header, layer: string): Pick<LayerCalibration, 'groups'> {
  const key = `${layer}.groups`;
  const told = metadata.get(key) ?? '1';
  if (/^[1-9]\d{0,14}$/.test(told)) return Number(told) === 1 ? {} : { groups: 'several' };
  return fail(path, undefined, `says "${told}" for "${key}" in its metadata; a number of groups is a whole number, 1 or more`);
}

/** From the metadata: how many samples stand behind a moment or diagonal. 512 where it is not told. */
function samplesTold(path: string, { metadata }: Header, layer: string, what: Side): number {
  const keys = [`${layer}.${what === 'inputs' ? 'input' : 'output'}_samples`, `${layer}.samples`, 'samples'];
  const key = keys.find((name) => metadata.has(name));
  if (key === undefined) return 512;
  const told = metadata.get(key) ?? '';
  if (/^[1-9]\d{0,14}$/.test(told)) return Number(told);
  return fail(path, undefined, `says "${told}" for "${key}" in its metadata; a number of samples is a whole number, 1 or more`);
}

function fail(path: string, tensor: string | undefined, problem: string): never {
  const subject = tensor === undefined ? 'the calibration file' : `the calibration tensor "${tensor}"`;
  throw new EngineError('InvalidCalibration', `${path}: ${subject} ${problem}.`, { path, ...(tensor === undefined ? {} : { tensor }) });
}
