/** pairTensors: two models → the tensors of both by name, each with what the headers alone say of it. Pure. */
import { isValueDtype } from '../dtype';
import { roundedUp } from '../plan/matrixStorage';
import type { Header, TensorInfo } from '../safetensors/header';
import { isCompanion } from './companions';
import type { ComparedTensor, TensorSide } from './compareEvent';
import { unreadableDtype, type MeantTensor } from './modelValues';

export interface TensorPair {
  readonly row: ComparedTensor;
  readonly reference?: TensorInfo;
  readonly other?: TensorInfo;
  /** Of both; absent where they differ. */
  readonly shape?: readonly number[];
}

/** In the reference's order, then what only the other model has. */
export function pairTensors(reference: readonly MeantTensor[], other: readonly MeantTensor[]): readonly TensorPair[] {
  const known = new Set(reference.map(({ name }) => name));
  const others = new Map(other.map((tensor) => [tensor.name, tensor]));
  const added = other.filter(({ name }) => !known.has(name));
  return [
    ...reference.map((tensor) => {
      const found = others.get(tensor.name);
      return found === undefined ? removed(tensor) : pair(tensor, found);
    }),
    ...added.map((tensor): TensorPair => ({ row: { name: tensor.name, state: 'added', other: side(tensor) }, other: tensor.info })),
  ];
}

/** Whether a model looks like a conversion whose source is to be the reference. */
export function isQuantized(header: Header): boolean {
  return header.tensors.some((tensor) => isCompanion(tensor, header));
}

function removed(tensor: MeantTensor): TensorPair {
  return { row: { name: tensor.name, state: 'removed', reference: side(tensor) }, reference: tensor.info };
}

function pair(reference: MeantTensor, other: MeantTensor): TensorPair {
  const shape = commonShape(reference, other);
  const sides = { name: reference.name, reference: side(reference, shape), other: side(other, shape) };
  const both = { reference: reference.info, other: other.info, ...(shape === undefined ? {} : { shape }) };
  if (shape === undefined) return { row: { ...sides, state: 'reshaped' }, ...both };
  const opaque = [both.reference, both.other].find(({ dtype }) => !isValueDtype(dtype));
  if (opaque === undefined) return { row: { ...sides, state: 'pending' }, ...both };
  return { row: { ...sides, state: 'incomparable', reason: unreadableDtype(opaque) }, ...both };
}

/** The smaller one where the other is only padded. */
function commonShape(a: MeantTensor, b: MeantTensor): readonly number[] | undefined {
  if (a.shape.join() === b.shape.join() || isPadded(a, b.shape)) return b.shape;
  return isPadded(b, a.shape) ? a.shape : undefined;
}

function isPadded({ shape, padding }: MeantTensor, other: readonly number[]): boolean {
  return padding !== undefined && shape.length === other.length && shape.join() === other.map((size) => roundedUp(size, padding)).join();
}

function side({ shape: own, info: { dtype, begin, end } }: MeantTensor, shape = own): TensorSide {
  return { dtype, shape, bytes: end - begin };
}
