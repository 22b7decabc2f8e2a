/** Small models, written as files: the same content for the same seed. */
import { writeFile } from 'node:fs/promises';
import { DTYPES, type Dtype } from '../../src/engine/dtype';
import { layOut } from '../../src/engine/safetensors/layout';
import { parseHeader } from '../../src/engine/safetensors/parseHeader';
import type { Header } from '../../src/engine/safetensors/header';

export interface ModelTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Elements to replace: NaN and infinities where they are wanted. */
  readonly replace?: readonly { readonly index: number; readonly value: number }[];
  /** In place of made-up ones. */
  readonly bytes?: Uint8Array;
}

export async function writeModel(
  path: string,
  tensors: readonly ModelTensor[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<Header> {
  const bytes = modelBytes(tensors, metadata);
  await writeFile(path, bytes);
  return parseHeader(bytes, bytes.length);
}

export function modelBytes(tensors: readonly ModelTensor[], metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const layout = layOut(
    tensors.map((tensor) => ({ ...tensor, byteLength: Math.ceil((elements(tensor.shape) * DTYPES[tensor.dtype].bits) / 8) })),
    new Map(Object.entries(metadata)),
  );
  const bytes = new Uint8Array(layout.fileSize);
  bytes.set(layout.headerBytes);
  for (const tensor of layout.tensors) {
    if (tensor.bytes === undefined) fill(new DataView(bytes.buffer, tensor.begin, tensor.end - tensor.begin), tensor);
    else bytes.set(tensor.bytes, tensor.begin);
  }
  return bytes;
}

/** Two layers of a toy transformer with every kind of tensor that a plan treats differently. */
export const TOY_MODEL: readonly ModelTensor[] = [
  { name: 'embed.weight', dtype: 'BF16', shape: [64, 96] },
  ...[0, 1].flatMap((layer): readonly ModelTensor[] => [
    { name: `layers.${layer}.attn.qkv.weight`, dtype: 'BF16', shape: [288, 96] },
    { name: `layers.${layer}.attn.qkv.bias`, dtype: 'BF16', shape: [288] },
    { name: `layers.${layer}.mlp.fc1.weight`, dtype: 'F16', shape: [200, 96] },
    { name: `layers.${layer}.mlp.fc2.weight`, dtype: 'F32', shape: [96, 200] },
    { name: `layers.${layer}.norm.weight`, dtype: 'F32', shape: [96] },
  ]),
  { name: 'step', dtype: 'I64', shape: [] },
  { name: 'nothing.weight', dtype: 'BF16', shape: [0, 96] },
];

function fill(view: DataView, { name, dtype, shape, replace = [] }: ModelTensor): void {
  const random = normalNumbers(name);
  const count = elements(shape);
  if (dtype === 'BF16' && count > 100_000) fillBfloat16(view, count, random);
  else for (let i = 0; i < count; i++) store(view, dtype, i, random() * 0.05);
  for (const { index, value } of replace) store(view, dtype, index, value);
}

/** The quick way for large tensors: drawn from a table of values. */
function fillBfloat16(view: DataView, count: number, random: () => number): void {
  const table = Uint16Array.from({ length: 4096 }, () => float32Bits(random() * 0.05) >>> 16);
  let state = Math.floor((random() + 4) * 1e6);
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    view.setUint16(2 * i, table[state >>> 20] ?? 0, true);
  }
}

function store(view: DataView, dtype: Dtype, index: number, value: number): void {
  switch (dtype) {
    case 'F32':
      view.setFloat32(4 * index, value, true);
      break;
    case 'BF16':
      view.setUint16(2 * index, float32Bits(value) >>> 16, true);
      break;
    case 'F16':
      view.setUint16(2 * index, float16Bits(value), true);
      break;
    default: {
      const size = DTYPES[dtype].bits / 8;
      for (let byte = 0; byte < size; byte++) view.setUint8(size * index + byte, (index * 37 + byte) & 0xff);
    }
  }
}

function float32Bits(value: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0);
}

/** Truncates; what is too small becomes zero. */
function float16Bits(value: number): number {
  const bits = float32Bits(value);
  const sign = (bits >>> 16) & 0x8000;
  if (!Number.isFinite(value)) return sign | 0x7c00 | (Number.isNaN(value) ? 0x200 : 0);
  const exponent = ((bits >>> 23) & 0xff) - 127 + 15;
  return exponent <= 0 ? sign : sign | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Seeded by a name; the sum of four uniform numbers is normal enough. */
function normalNumbers(name: string): () => number {
  let state = [...name].reduce((hash, character) => Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0, 0x811c9dc5);
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  return () => (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3);
}
