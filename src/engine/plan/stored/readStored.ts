/** readStored: what a source's own tensors, metadata and config.json say of how it is quantized. */
import { jsonObject, parsedJson } from '../../../base/json';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSourceDtype } from '../../dtype';
import type { Header, TensorInfo } from '../../safetensors/header';
import { openModel, type ModelSource } from '../../safetensors/modelSource';
import { describedStorage } from './describedStorage';
import { recogniseStored } from './recogniseStored';
import type { Layout } from '../recipe';
import { otherScales } from './otherScales';
import { requireReadable } from './planDequantized';
import { wantsOtherScales } from './planMigration';
import type { StoredSource } from './sourceCodes';
import type { ComfyFormat } from './storedWeight';
import { weightsFor } from './weightsFor';

const LEGACY_SCALE = '.scale_weight';
const COMFY_QUANT = '.comfy_quant';
const MAX_DESCRIPTION_BYTES = 65_536;

/** Throws EngineError where the files cannot be read. */
export async function readStored(source: ModelSource): Promise<StoredSource> {
  const model = await openModel(source.path);
  try {
    const comfyFormats = describedFormats(source.header.metadata.get('_quantization_metadata'));
    for (const tensor of source.header.tensors) {
      if (!tensor.name.endsWith(COMFY_QUANT)) continue;
      const layer = tensor.name.slice(0, -COMFY_QUANT.length);
      // The header's description is what loaders go by where there are both.
      if (!comfyFormats.has(layer))
        comfyFormats.set(layer, comfyFormat(parsedJson(new TextDecoder().decode(await model.readTensor(tensor, MAX_DESCRIPTION_BYTES)))));
    }
    const configText = await readFile(join(source.folder, 'config.json'), 'utf8').catch(() => '');
    const { facts, warnings } = describedStorage(source.header.metadata, configText);
    const stored = recogniseStored(source.header, { comfyFormats, ...facts });
    const idle = await idleScales(source.header, (tensor) => model.readTensor(tensor, MAX_DESCRIPTION_BYTES));
    const tensorScales = new Map<string, number>();
    for (const [name, { tensorScale, storage }] of stored.byName) {
      if (tensorScale === undefined) continue;
      const bytes = await model.readTensor(tensorScale, 4);
      const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
      tensorScales.set(name, storage.tensorScaleForm === 'divisor' ? 1 / value : value);
    }
    return {
      ...stored,
      companions: new Set([...stored.companions, ...idle.companions]),
      unreadable: new Map([...stored.unreadable, ...idle.unreadable]),
      tensorScales,
      warnings: stored.byName.size === 0 ? [] : warnings,
    };
  } finally {
    await model.close();
  }
}

/**
 * Files in the layout comfyui-legacy may have scales also beside weights that are not quantized. A scale of one says nothing, and is left out with the
 * others; by another one the numbers would not be those of the weight.
 */
async function idleScales(
  header: Header,
  read: (tensor: TensorInfo) => Promise<Uint8Array>,
): Promise<Pick<StoredSource, 'companions' | 'unreadable'>> {
  const companions = new Set<string>();
  const unreadable = new Map<string, string>();
  for (const scale of header.tensors) {
    if (!scale.name.endsWith(LEGACY_SCALE) || scale.dtype !== 'F32' || scale.end - scale.begin !== 4) continue;
    const layer = scale.name.slice(0, -LEGACY_SCALE.length);
    const weight = header.byName.get(`${layer}.weight`);
    if (weight === undefined || !isSourceDtype(weight.dtype)) continue;
    const bytes = await read(scale);
    const value = new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
    if (value === 1) [scale.name, `${layer}.scale_input`].forEach((name) => companions.add(name));
    else unreadable.set(weight.name, `It is ${weight.dtype}, and its scale ${scale.name} is ${value}: what it stands for is not clear.`);
  }
  return { companions, unreadable };
}

function describedFormats(text: string | undefined): Map<string, ComfyFormat> {
  const layers = jsonObject(jsonObject(parsedJson(text ?? ''))?.['layers']) ?? {};
  return new Map(Object.entries(layers).map(([layer, description]) => [layer, comfyFormat(description)]));
}

function comfyFormat(description: unknown): ComfyFormat {
  const fields = jsonObject(description) ?? {};
  const format = fields['format'];
  const rotated = fields['convrot'] === true || jsonObject(fields['params'])?.['convrot'] === true;
  return { format: typeof format === 'string' ? format : '', isRotated: rotated ? 'rotated' : 'as it is' };
}

/** The scales of each weight as a layout has them, where these are other bytes than the source's. Throws EngineError. */
export async function readScales(source: ModelSource, stored: StoredSource, layout: Layout): Promise<ReadonlyMap<string, Uint8Array>> {
  requireReadable(stored);
  const scales = new Map<string, Uint8Array>();
  const model = await openModel(source.path);
  try {
    for (const weight of weightsFor(stored, layout)) {
      if (!wantsOtherScales(weight, layout)) continue;
      const bytes = weight.scales === undefined ? undefined : await model.readTensor(weight.scales);
      scales.set(weight.name, otherScales(weight, bytes));
    }
    return scales;
  } finally {
    await model.close();
  }
}
