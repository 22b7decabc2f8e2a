/** ModelValues: the tensors of a model as what they stand for: codes with their scales as one weight, everything else as it is. */
import { isValueDtype } from '../dtype';
import type { TensorValues } from '../job/quantizer';
import { rangeOf, sourceValuesOf } from '../job/sourceValues';
import { storedSize } from '../plan/matrixStorage';
import { readStored } from '../plan/stored/readStored';
import { sourceCodes, type StoredSource } from '../plan/stored/sourceCodes';
import type { StoredWeight } from '../plan/stored/storedWeight';
import type { TensorInfo } from '../safetensors/header';
import { readModelSource, type ModelSource } from '../safetensors/modelSource';
import { isCompanion } from './companions';

export interface ModelValues {
  readonly source: ModelSource;
  readonly stored: StoredSource;
  /** The weights that are stored as codes, by the names of the tensors that have these. */
  readonly byCodes: ReadonlyMap<string, StoredWeight>;
}

/** A tensor by the name and shape that it would have, were the model not quantized. */
export interface MeantTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Its matrix may have been filled up with zeros to multiples of this. */
  readonly padding?: number;
  /** As it is in its file. */
  readonly info: TensorInfo;
}

/** Throws EngineError as `readModelSource` does. */
export async function readModelValues(path: string): Promise<ModelValues> {
  const source = await readModelSource(path);
  const stored = await readStored(source);
  return { source, stored, byCodes: new Map([...stored.byName.values()].map((weight) => [weight.codes.name, weight])) };
}

/** Without those that only describe others. */
export function meantTensors({ source: { header }, stored, byCodes }: ModelValues): readonly MeantTensor[] {
  return header.tensors.flatMap((info): readonly MeantTensor[] => {
    const weight = byCodes.get(info.name);
    if (weight !== undefined) return [{ name: weight.name, shape: weight.shape, info, ...paddingOf(weight) }];
    return stored.companions.has(info.name) || isCompanion(info, header) ? [] : [{ name: info.name, shape: info.shape, info }];
  });
}

/** Only the rows and columns of a weight say how many of its codes are padding, and they are known from elsewhere. */
function paddingOf({ storage: { scaleOrder, block } }: StoredWeight): Pick<MeantTensor, 'padding'> {
  return scaleOrder === 'swizzled' && block !== undefined ? { padding: block.columns } : {};
}

interface Reading {
  /** The index of the model's first file among those of the job. */
  readonly firstFile: number;
  /** Without what it is padded with. */
  readonly shape: readonly number[];
}

/** How the quantizer reads a tensor; a sentence where it cannot be read. */
export function valuesOf(model: ModelValues, tensor: TensorInfo, { firstFile, shape }: Reading): TensorValues | string {
  const unreadable = model.stored.unreadable.get(tensor.name);
  if (unreadable !== undefined) return unreadable;
  const weight = model.byCodes.get(tensor.name);
  const { stored } = weight === undefined ? {} : sourceCodes(weight, model.stored);
  if (stored !== undefined) return withoutPadding(sourceValuesOf(stored, firstFile), stored.weight, shape);
  const { dtype } = tensor;
  return isValueDtype(dtype) ? { range: rangeOf(tensor, firstFile), dtype, scale: 1 } : unreadableDtype(tensor);
}

function withoutPadding(values: TensorValues, weight: StoredWeight, shape: readonly number[]): TensorValues {
  const [height, width] = shape;
  const [storedRows, storedColumns] = storedSize(weight.storage, weight);
  if (values.codes === undefined || height === undefined || width === undefined || weight.shape.join() === shape.join()) return values;
  return { ...values, codes: { ...values.codes, rows: height, columns: width, storedRows, storedColumns } };
}

export function unreadableDtype({ dtype }: Pick<TensorInfo, 'dtype'>): string {
  return `Values of ${dtype} cannot be read.`;
}
