/** feederSteps: the steps that send samples through a model's own weights, and what their makers share. Pure. */
import { isSourceDtype } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import type { Activation } from './stacks';

/** Registers hold one vector for each sample. */
export type FeederStep =
  | { readonly kind: 'gather'; readonly out: number; readonly weight: TensorInfo }
  /** `width` standard normal values, or what diffusion models make of a time step. */
  | { readonly kind: 'noise' | 'time'; readonly out: number; readonly width: number }
  | { readonly kind: 'linear'; readonly out: number; readonly a: number; readonly weight: TensorInfo; readonly bias?: TensorInfo }
  | {
      readonly kind: 'rmsNorm' | 'layerNorm';
      readonly out: number;
      readonly a: number;
      readonly weight?: TensorInfo;
      readonly bias?: TensorInfo;
    }
  | { readonly kind: 'activate'; readonly out: number; readonly a: number; readonly activation: Activation }
  /** `modulate` is a · (1 + b). */
  | { readonly kind: 'multiply' | 'add' | 'modulate'; readonly out: number; readonly a: number; readonly b: number }
  /** The part of this number, each `width` wide. */
  | { readonly kind: 'slice'; readonly out: number; readonly a: number; readonly width: number; readonly part: number }
  | { readonly kind: 'shuffle'; readonly out: number; readonly a: number }
  | { readonly kind: 'repeatHeads'; readonly out: number; readonly a: number; readonly headSize: number; readonly times: number }
  /** What is in `a` is the input of these weights. */
  | { readonly kind: 'reach'; readonly a: number; readonly width: number; readonly weights: readonly string[] };

/** The residual stream, what a norm made of it, and what the branches compute. */
export const RESIDUAL = 0;
export const NORMED = 1;
export const BRANCH = 2;
export const SECOND = 3;
/** Of blocks that a condition modulates: the condition, and what a block makes of it. */
export const CONDITION = 4;
export const MODULATION = 5;
export const REGISTERS = 6;

/** A tensor of this name, if it is there in a dtype that can be read. */
export type FindTensor = (name: string) => TensorInfo | undefined;

export function tensorsUnder(prefix: string, header: Header): FindTensor {
  return (name) => {
    const tensor = header.byName.get(prefix + name);
    return tensor !== undefined && isSourceDtype(tensor.dtype) && tensor.end > tensor.begin ? tensor : undefined;
  };
}

export function rowsOf({ shape }: TensorInfo): number {
  return shape[0] ?? 0;
}

/** Of a convolution, all that one of its outputs sees. */
export function columnsOf({ shape }: TensorInfo): number {
  return shape.slice(1).reduce((product, size) => product * size, 1);
}

/** `name` without `.weight`; its bias goes along. */
export function linearStep(find: FindTensor, out: number, a: number, weight: TensorInfo, name: string): FeederStep {
  return { kind: 'linear', out, a, weight, ...biasUnder(find, name) };
}

export function biasUnder(find: FindTensor, name: string): { readonly bias?: TensorInfo } {
  const bias = find(`${name}.bias`);
  return bias === undefined ? {} : { bias };
}
