/** A safetensors file held in memory: small files only, as benchmarks and tests have them. */
import { readFile } from 'node:fs/promises';
import type { Header, TensorInfo } from '../../src/engine/safetensors/header';
import { parseHeader } from '../../src/engine/safetensors/parseHeader';
import { decodeValues } from './decode';

export interface TensorFile {
  readonly path: string;
  readonly header: Header;
  readonly bytes: Uint8Array;
}

export async function readTensorFile(path: string): Promise<TensorFile> {
  const bytes = await readFile(path);
  return { path, header: parseHeader(bytes, bytes.length), bytes };
}

/** Throws where the file has no such tensor. */
export function findTensor(file: TensorFile, name: string): TensorInfo {
  const tensor = file.header.byName.get(name);
  if (tensor === undefined) throw new Error(`${file.path} has no tensor ${name}.`);
  return tensor;
}

export function tensorBytes(file: TensorFile, tensor: TensorInfo): Uint8Array {
  return file.bytes.subarray(tensor.begin, tensor.end);
}

export function tensorValues(file: TensorFile, tensor: TensorInfo): Float32Array {
  return decodeValues(tensor.dtype, tensorBytes(file, tensor));
}
