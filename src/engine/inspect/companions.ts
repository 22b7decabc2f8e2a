/** companions: which tensors of a file describe the quantization of others. Pure. */
import { isScaledFp8Marker, layerOfCompanion } from '../plan/tensorNames';
import type { Header, TensorInfo } from '../safetensors/header';

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
