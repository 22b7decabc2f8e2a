/** checkTensors: source header against converted file → what has become of every tensor, and what must still be compared. Pure. */
import { formatShape } from '../../../base/format';
import { isSourceDtype } from '../../dtype';
import { decide, ruleContext } from '../../plan/rules';
import type { Header, TensorInfo } from '../../safetensors/header';
import type { CompareTask, DifferenceTask, TensorValues } from '../quantizer';
import { layerOf, type ConvertedFile } from './convertedFile';
import type { VerifiedState } from './verifyEvent';

export interface TensorCheck {
  readonly source: TensorInfo;
  readonly state: VerifiedState;
  readonly problems: readonly string[];
  readonly scale?: number;
  /** Absent where there is nothing to compare. `id` is the check's index. */
  readonly task?: CompareTask | DifferenceTask;
  /** The file says that this tensor of another content is what it should be: a corrected bias. */
  readonly changed?: 'on purpose';
}

/** Files of the compare tasks. */
export const SOURCE_FILE = 0;
export const CONVERTED_FILE = 1;

/** One check per source tensor, in order. */
export function checkTensors(source: Header, converted: ConvertedFile): readonly TensorCheck[] {
  const isRemoved = removals(source, converted);
  return source.tensors.map((tensor, id) => {
    const found = converted.header.byName.get(tensor.name);
    if (found === undefined) {
      return isRemoved(tensor) ? { source: tensor, state: 'removed', problems: [] } : wrong(tensor, 'It is missing in the converted file.');
    }
    if (found.shape.join() !== tensor.shape.join()) {
      return wrong(tensor, `Its shape is ${formatShape(found.shape)} instead of ${formatShape(tensor.shape)}.`);
    }
    if (found.dtype === tensor.dtype) return checkKept(tensor, found, id, converted);
    if (found.dtype === 'F8_E4M3' && isSourceDtype(tensor.dtype)) return checkQuantized(tensor, found, id, converted);
    return wrong(tensor, `Its dtype is ${found.dtype}, which cannot stand for the source's ${tensor.dtype}.`);
  });
}

/** Only the recipe that the file names can say that a tensor was left out on purpose. */
function removals(source: Header, { provenance }: ConvertedFile): (tensor: TensorInfo) => boolean {
  if (provenance === undefined) return () => false;
  const context = ruleContext(source, provenance.recipe, new Map());
  return (tensor) => decide(tensor, context).action === 'remove';
}

function checkKept(tensor: TensorInfo, found: TensorInfo, id: number, converted: ConvertedFile): TensorCheck {
  const layer = layerOf(tensor);
  const isWeight = layer !== tensor.name && isSourceDtype(tensor.dtype);
  if (isWeight && converted.scales.has(layer)) {
    return wrong(tensor, `It is ${tensor.dtype} but has a scale: loaders would cast it to FP8 unscaled.`);
  }
  const length = tensor.end - tensor.begin;
  const kept: TensorCheck = { source: tensor, state: 'kept', problems: [] };
  if (length === 0) return kept;
  const { dtype } = tensor;
  if (converted.correctedBiases.has(tensor.name) && isSourceDtype(dtype)) {
    const values = (range: CompareTask['source']): TensorValues => ({ range, dtype, scale: 1 });
    const task: DifferenceTask = {
      kind: 'difference',
      id,
      name: tensor.name,
      reference: values(rangeOf(tensor, SOURCE_FILE)),
      other: values(rangeOf(found, CONVERTED_FILE)),
    };
    return { ...kept, changed: 'on purpose', task };
  }
  return {
    ...kept,
    task: {
      kind: 'compare',
      id,
      name: tensor.name,
      converted: rangeOf(found, CONVERTED_FILE),
      source: rangeOf(tensor, SOURCE_FILE),
      // Without a scale bytes are compared, and these say nothing.
      dtype: 'BF16',
      rows: 1,
      columns: length,
    },
  };
}

function checkQuantized(tensor: TensorInfo, found: TensorInfo, id: number, converted: ConvertedFile): TensorCheck {
  const scale = converted.scales.get(layerOf(tensor));
  if (scale === undefined) return wrong(tensor, 'It is FP8 but has no scale.');
  const scaleProblem = problemOfScale(scale.tensor, scale.value);
  if (scaleProblem !== undefined) return wrong(tensor, scaleProblem);
  const elements = found.end - found.begin;
  const rows = tensor.shape[0] ?? 1;
  const checked: TensorCheck = { source: tensor, state: 'quantized', problems: [], scale: scale.value };
  if (elements === 0 || !isSourceDtype(tensor.dtype)) return checked;
  return {
    ...checked,
    task: {
      kind: 'compare',
      id,
      name: tensor.name,
      converted: rangeOf(found, CONVERTED_FILE),
      source: rangeOf(tensor, SOURCE_FILE),
      dtype: tensor.dtype,
      rows,
      columns: elements / rows,
      scale: scale.value,
    },
  };
}

function problemOfScale({ name, dtype, shape }: TensorInfo, value: number): string | undefined {
  const elements = shape.reduce((product, dimension) => product * dimension, 1);
  if (dtype !== 'F32' || elements !== 1) return `Its scale ${name} is ${dtype} ${formatShape(shape)} instead of one F32 number.`;
  if (!Number.isFinite(value) || value <= 0) return `Its scale ${name} is ${value}, which is no positive number.`;
  return undefined;
}

function rangeOf({ begin, end }: TensorInfo, file: number): CompareTask['source'] {
  return { file, offset: begin, length: end - begin };
}

function wrong(source: TensorInfo, problem: string): TensorCheck {
  return { source, state: 'wrong', problems: [problem] };
}
