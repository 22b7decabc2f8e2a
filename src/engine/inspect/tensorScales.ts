/** tensorScales: which tensors of a file describe the quantization of others, and the one number by which a quantized tensor's elements count. */
import type { Dtype } from '../dtype';
import { isScaledFp8Marker, layerOfCompanion, layerOfWeight } from '../plan/tensorNames';
import type { Header, TensorInfo } from '../safetensors/header';
import type { SafetensorsFile } from '../safetensors/reader';

/** Suffixes of layouts whose companions stand beside another name than `<layer>.weight`, with what must be there for them to mean that. */
const SIBLINGS: readonly { readonly suffix: string; readonly of: string }[] = [
  { suffix: '.qzeros', of: '.qweight' },
  { suffix: '.scales', of: '.qweight' },
  { suffix: '.g_idx', of: '.qweight' },
  { suffix: '_scales', of: '_blocks' },
  { suffix: '.SCB', of: '.weight' },
  { suffix: '.weight_format', of: '.weight' },
];

/** Whether the tensor holds scales, markers or the like of another tensor rather than values of the model. */
export function isCompanion({ name, dtype }: TensorInfo, header: Header): boolean {
  if (isScaledFp8Marker(name)) return true;
  // Behind the weight's whole name, as bitsandbytes has it: `<layer>.weight.absmax`, `<layer>.weight.quant_state.bitsandbytes__nf4`.
  const quantState = name.indexOf('.quant_state.');
  if (quantState > 0) return header.byName.has(name.slice(0, quantState));
  const layer = layerOfCompanion(name);
  // The packed weight itself bears the name of a companion.
  if (layer !== undefined) return !name.endsWith('.weight_packed') && dtype !== 'BOOL';
  return SIBLINGS.some(({ suffix, of }) => name.endsWith(suffix) && header.byName.has(name.slice(0, -suffix.length) + of));
}

/** In the layouts that are known here a weight's scale has one of these names; all of them are multiplied by, the inverse of Hugging Face too. */
const SCALES = ['weight_scale', 'scale_weight', 'weight_scale_inv'] as const;
const SCALED: readonly Dtype[] = ['F8_E4M3', 'F8_E5M2', 'I8', 'U8'];

/** The tensor with the scale of a weight in eight bits. */
export function scaleTensorOf(tensor: TensorInfo, header: Header): TensorInfo | undefined {
  if (!SCALED.includes(tensor.dtype)) return undefined;
  const layer = layerOfWeight(tensor.name);
  if (layer === undefined) return undefined;
  for (const suffix of SCALES) {
    const scale = header.byName.get(`${layer}.${suffix}`);
    if (scale !== undefined) return scale;
  }
  return undefined;
}

export type TensorScale =
  /** `tensor` is absent where the elements stand for themselves. */
  { readonly kind: 'number'; readonly value: number; readonly tensor?: string } | { readonly kind: 'unsupported'; readonly reason: string };

export async function readTensorScale(file: SafetensorsFile, tensor: TensorInfo): Promise<TensorScale> {
  const scale = scaleTensorOf(tensor, file.header);
  if (scale === undefined) return { kind: 'number', value: 1 };
  if (scale.dtype !== 'F32' || scale.end - scale.begin !== 4) {
    return { kind: 'unsupported', reason: `Its scale is no single number but ${scale.dtype} of shape [${scale.shape.join(', ')}].` };
  }
  const bytes = await file.readRange(scale.begin, scale.end);
  const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
  if (!Number.isFinite(value)) return { kind: 'unsupported', reason: `Its scale is ${value}.` };
  return { kind: 'number', value, tensor: scale.name };
}
