/** The layouts, by name. */
import type { OutputFormat } from '../outputFormat';
import type { Layout } from '../recipe';
import { comfyui } from './comfyui';
import { comfyuiLegacy } from './comfyuiLegacy';
import { compressedTensors } from './compressedTensors';
import { huggingface } from './huggingface';
import { plain } from './plain';

export const FORMATS: Readonly<Record<Layout, OutputFormat>> = {
  comfyui,
  'comfyui-legacy': comfyuiLegacy,
  'compressed-tensors': compressedTensors,
  huggingface,
  plain,
};
