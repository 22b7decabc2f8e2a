/** The held-out text that models are measured on, and logits of a known good forward pass over it. */
import { resolve } from 'node:path';
import type { Matrix } from '../model/matrix';
import { matrix } from '../model/matrix';
import { findTensor, readTensorFile, tensorBytes, tensorValues } from '../model/tensorFile';

/** The bundled model, from the project's folder. */
export const SAMPLE_MODEL = resolve('samples/kjv-lm.safetensors');

export interface TextRow {
  readonly tokens: Uint8Array;
  /** The byte that follows each of `tokens`. */
  readonly next: Uint8Array;
}

export async function readEvaluationText(): Promise<readonly TextRow[]> {
  const file = await readTensorFile(resolve('bench/data/kjv-tokens.safetensors'));
  const tensor = findTensor(file, 'evaluation');
  const [rows = 0, length = 0] = tensor.shape;
  const bytes = tensorBytes(file, tensor);
  return Array.from({ length: rows }, (_, row) => ({
    tokens: bytes.subarray(row * length, (row + 1) * length - 1),
    next: bytes.subarray(row * length + 1, (row + 1) * length),
  }));
}

export interface ReferenceLogits {
  /** The tokens between two positions whose logits are known. */
  readonly stride: number;
  /** For each of the first evaluation rows: positions × vocabulary. */
  readonly rows: readonly Matrix[];
}

/** Computed by PyTorch in F32 from the same weights. */
export async function readReferenceLogits(): Promise<ReferenceLogits> {
  const file = await readTensorFile(resolve('bench/data/kjv-reference-logits.safetensors'));
  const tensor = findTensor(file, 'logits');
  const [rows = 0, positions = 0, vocabulary = 0] = tensor.shape;
  const values = tensorValues(file, tensor);
  const size = positions * vocabulary;
  return {
    stride: 16,
    rows: Array.from({ length: rows }, (_, row) => matrix(positions, vocabulary, values.subarray(row * size, (row + 1) * size))),
  };
}

/** The largest difference between a row's logits and the reference's, over the positions that the reference has. */
export function largestDifference(logits: Matrix, reference: Matrix, stride: number): number {
  return reference.values.reduce((largest, value, index) => {
    const position = Math.floor(index / reference.columns) * stride;
    const found = logits.values[position * logits.columns + (index % reference.columns)] ?? NaN;
    const difference = Math.abs(found - value);
    return Number.isNaN(difference) ? Infinity : Math.max(largest, difference);
  }, 0);
}
