/** What people read instead of the names that recipes have for targets and layouts. Pure. */
import type { Options } from './panelApi';

export const TARGET_LABELS: Readonly<Record<Options['target'], string>> = {
  float8_e4m3fn: 'FP8 E4M3',
  float8_e5m2: 'FP8 E5M2',
  int8: 'INT8',
  mxfp8: 'MXFP8',
  nvfp4: 'NVFP4',
};

export const LAYOUT_LABELS: Readonly<Record<Options['layout'], string>> = {
  comfyui: 'ComfyUI',
  'comfyui-legacy': 'ComfyUI, legacy',
  'compressed-tensors': 'compressed-tensors',
  huggingface: 'Hugging Face',
  plain: 'Plain',
};
