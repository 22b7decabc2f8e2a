/** Gives back the weights that a loader computes with: `code × scale` where a tensor is quantized, the stored value elsewhere. */
import type { TensorInfo } from '../../src/engine/safetensors/header';
import { findTensor, tensorValues, type TensorFile } from './tensorFile';

/** Every output layout's name for the scale of `<layer>.weight`. */
const SCALE_SUFFIXES = ['weight_scale', 'scale_weight'];

/** The weights of `name` as F32, dequantized where a scale stands beside them. */
export function weightValues(file: TensorFile, name: string): Float32Array {
  const tensor = findTensor(file, name);
  const values = tensorValues(file, tensor);
  const scale = scaleOf(file, name);
  if (scale === undefined) return values;
  return scaled(values, tensor, scale, tensorValues(file, scale));
}

/** The tensor that holds the scale of the weight `name`; undefined where it is not quantized. */
export function scaleOf(file: TensorFile, name: string): TensorInfo | undefined {
  if (!name.endsWith('.weight')) return undefined;
  const layer = name.slice(0, -'weight'.length);
  const found = SCALE_SUFFIXES.map((suffix) => file.header.byName.get(layer + suffix));
  return found.find((tensor) => tensor !== undefined);
}

/** One scale for the whole tensor, or one for each row (the outermost dimension). */
function scaled(values: Float32Array, tensor: TensorInfo, scale: TensorInfo, scales: Float32Array): Float32Array {
  const rows = tensor.shape[0] ?? 1;
  if (scales.length !== 1 && scales.length !== rows) {
    throw new Error(
      `${scale.name} has shape [${scale.shape.join(', ')}]: the benchmark reads scales per tensor and per row of ${tensor.name}.`,
    );
  }
  const valuesPerScale = values.length / scales.length;
  return values.map((value, index) => value * (scales[Math.floor(index / valuesPerScale)] ?? NaN));
}
