/** pairTensors: two headers → the tensors of both by name, each with what the headers alone say of it. Pure. */
import { isValueDtype } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import type { ComparedTensor, TensorSide } from './compareEvent';
import { isCompanion } from './tensorScales';

export interface TensorPair {
  readonly row: ComparedTensor;
  readonly reference?: TensorInfo;
  readonly other?: TensorInfo;
}

/** In the reference's order, then what only the other file has. */
export function pairTensors(reference: Header, other: Header): readonly TensorPair[] {
  const own = (header: Header): readonly TensorInfo[] => header.tensors.filter((tensor) => !isCompanion(tensor, header));
  const added = own(other).filter(({ name }) => !reference.byName.has(name));
  return [
    ...own(reference).map((tensor) => {
      const found = other.byName.get(tensor.name);
      return found === undefined ? removed(tensor) : pair(tensor, found);
    }),
    ...added.map((tensor): TensorPair => ({ row: { name: tensor.name, state: 'added', other: side(tensor) }, other: tensor })),
  ];
}

/** Whether a file looks like a conversion whose source is to be the reference. */
export function isQuantized(header: Header): boolean {
  return header.tensors.some((tensor) => isCompanion(tensor, header));
}

function removed(tensor: TensorInfo): TensorPair {
  return { row: { name: tensor.name, state: 'removed', reference: side(tensor) }, reference: tensor };
}

function pair(reference: TensorInfo, other: TensorInfo): TensorPair {
  const sides = { name: reference.name, reference: side(reference), other: side(other) };
  const both = { reference, other };
  if (reference.shape.join() !== other.shape.join()) return { row: { ...sides, state: 'reshaped' }, ...both };
  const opaque = [reference, other].find(({ dtype }) => !isValueDtype(dtype));
  if (opaque === undefined) return { row: { ...sides, state: 'pending' }, ...both };
  return { row: { ...sides, state: 'incomparable', reason: `Values of ${opaque.dtype} cannot be read.` }, ...both };
}

function side({ dtype, shape, begin, end }: TensorInfo): TensorSide {
  return { dtype, shape, bytes: end - begin };
}
