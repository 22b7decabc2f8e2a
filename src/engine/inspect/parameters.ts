/** parameters: how many numbers of the model a tensor stands for: packed ones as what they hold, scales and markers not at all. Pure. */
import { DTYPES } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import { isCompanion } from './companions';

export function parametersOf(header: Header): number {
  return header.tensors.reduce((sum, tensor) => sum + tensorParameters(tensor, header), 0);
}

export function tensorParameters(tensor: TensorInfo, header: Header): number {
  if (isCompanion(tensor, header)) return 0;
  return elementsOf(tensor) * valuesPerElement(tensor, header);
}

export function elementsOf({ shape }: TensorInfo): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Where an element is a container of several values, only other tensors tell of how many. */
function valuesPerElement({ name, dtype }: TensorInfo, header: Header): number {
  if (DTYPES[dtype].kind !== 'int') return 1;
  const has = (other: string): boolean => header.byName.has(other);
  const bits = DTYPES[dtype].bits;
  // bitsandbytes in four bits has a table of its values; in eight bits it has none.
  if (has(`${name}.quant_map`)) return bits / 4;
  if (name.endsWith('.weight')) {
    // NVFP4: a scale for each block, and a second one for the whole tensor.
    if (bits === 8 && has(`${name}_scale_2`)) return 2;
  }
  if (name.endsWith('.weight_packed')) return bits / 4;
  // MXFP4 as gpt-oss stores it.
  if (name.endsWith('_blocks') && has(name.replace(/_blocks$/, '_scales'))) return bits / 4;
  if (name.endsWith('.qweight')) return bits / packedBits(name.slice(0, -'.qweight'.length), bits, header);
  return 1;
}

/** GPTQ and AWQ pack zero points like weights, beside scales that are not packed. */
function packedBits(layer: string, elementBits: number, header: Header): number {
  const zeros = header.byName.get(`${layer}.qzeros`);
  const scales = header.byName.get(`${layer}.scales`);
  if (zeros === undefined || scales === undefined) return 4;
  const bits = (elementBits * elementsOf(zeros)) / elementsOf(scales);
  return [2, 3, 4, 8].includes(bits) ? bits : 4;
}
