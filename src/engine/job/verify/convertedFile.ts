/** ConvertedFile: what a converted model says of its own quantization: layout, codes and scales, descriptions, and the recipe it was made with. */
import { jsonObject, parsedJson } from '../../../base/json';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Override } from '../../plan/overrides';
import { CORRECTED_BIASES_KEY } from '../../plan/outputMetadata';
import { PRESETS } from '../../plan/presets';
import { defaultRecipe, LAYOUTS, QUANTIZED, ROUNDINGS, type Layout, type PresetName, type Recipe } from '../../plan/recipe';
import { parseRecipeFile } from '../../plan/recipeFile';
import { MIGRATED_KEY } from '../../plan/stored/dequantizedHeader';
import { readStored } from '../../plan/stored/readStored';
import type { StoredSource } from '../../plan/stored/sourceCodes';
import { isScaledFp8Marker, layerOfWeight } from '../../plan/tensorNames';
import type { Header, TensorInfo } from '../../safetensors/header';
import { openModel } from '../../safetensors/modelSource';
import type { VerifyReport } from './verifyEvent';

export interface ConvertedFile {
  readonly files: readonly string[];
  readonly header: Header;
  readonly layout: VerifyReport['layout'];
  readonly stored: StoredSource;
  /** What is wrong with the numbers of scales, as a sentence, and whether BF16 would round them; by the weight's name. */
  readonly scales: ReadonlyMap<string, ScaleCheck>;
  /** What `<layer>.comfy_quant` says, as text. */
  readonly comfyQuant: ReadonlyMap<string, string>;
  /** Layers of the header's `_quantization_metadata` and their formats; undefined where it is absent, `unreadable` where it is no such JSON. */
  readonly describedLayers: ReadonlyMap<string, string> | 'unreadable' | undefined;
  readonly marker: TensorInfo | undefined;
  /** The number of each `<layer>.input_scale`, and `.scale_input` as it once was; undefined where it is not a single F32. */
  readonly inputScales: ReadonlyMap<string, number | undefined>;
  /** `quantization_config` of the config.json beside it. */
  readonly config: Readonly<Record<string, unknown>> | undefined;
  /** Biases that this tool says it corrected: they may differ from the source. */
  readonly correctedBiases: ReadonlySet<string>;
  /** What this tool noted of its making; absent in files of other tools. */
  readonly provenance?: { readonly version: string; /** As far as it decides what is looked for. */ readonly recipe: Recipe };
}

export interface ScaleCheck {
  readonly problem?: string;
  /** Of a weight with a single one. */
  readonly value?: number;
}

const COMFY_QUANT = /^(.+)\.comfy_quant$/;
const INPUT_SCALE = /\.(input_scale|scale_input)$/;
const MAX_COMFY_QUANT_BYTES = 65_536;

export async function readConverted(path: string): Promise<ConvertedFile> {
  const model = await openModel(path);
  try {
    const { header, files, folder } = model;
    const stored = await readStored(model);
    const scales = new Map<string, ScaleCheck>();
    for (const [name, { scales: ofParts, tensorScale, storage }] of stored.byName) {
      if (ofParts === undefined) continue;
      const ofAll = tensorScale && checkScales(tensorScale, 'f32', await model.readTensor(tensorScale));
      scales.set(name, ofAll?.problem === undefined ? checkScales(ofParts, storage.scaleForm, await model.readTensor(ofParts)) : ofAll);
    }
    const comfyQuant = new Map<string, string>();
    for (const tensor of header.tensors) {
      const layer = COMFY_QUANT.exec(tensor.name)?.[1];
      if (layer !== undefined) comfyQuant.set(layer, new TextDecoder().decode(await model.readTensor(tensor, MAX_COMFY_QUANT_BYTES)));
    }
    const inputScales = new Map<string, number | undefined>();
    for (const tensor of header.tensors) {
      if (!INPUT_SCALE.test(tensor.name)) continue;
      const bytes = tensor.dtype === 'F32' && tensor.end - tensor.begin === 4 ? await model.readTensor(tensor) : undefined;
      inputScales.set(tensor.name, bytes && new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true));
    }
    const marker = header.tensors.find(({ name }) => isScaledFp8Marker(name));
    const provenance = provenanceOf(header.metadata);
    return {
      files,
      header,
      layout: provenance?.recipe.layout ?? migratedTo(header) ?? layoutOf(stored, comfyQuant, header),
      stored,
      scales,
      comfyQuant,
      describedLayers: describedLayersOf(header.metadata.get('_quantization_metadata')),
      marker,
      inputScales,
      config: await configBeside(folder),
      correctedBiases: correctedBiasesOf(header.metadata),
      ...(provenance === undefined ? {} : { provenance }),
    };
  } finally {
    await model.close();
  }
}

/** Every scale must be a positive, finite number. */
function checkScales({ name }: TensorInfo, form: 'f32' | 'e8m0' | 'e4m3' | 'f16' | 'bf16', bytes: Uint8Array): ScaleCheck {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (form) {
    case 'f32': {
      const count = bytes.length / 4;
      for (let i = 0; i < count; i += 1) {
        const value = view.getFloat32(4 * i, true);
        if (Number.isFinite(value) && value > 0) continue;
        const which = count === 1 ? `Its scale ${name} is ${value}` : `Number ${i} of its scales ${name} is ${value}`;
        return { problem: `${which}, which is no positive number.` };
      }
      return count === 1 ? { value: view.getFloat32(0, true) } : {};
    }
    case 'e8m0':
      return bytes.includes(0xff) ? { problem: `One of its scales ${name} is NaN.` } : {};
    case 'e4m3':
      return bytes.some((code) => code >= 0x7f) ? { problem: `One of its scales ${name} is NaN or negative.` } : {};
    case 'f16':
    case 'bf16':
      return {};
  }
}

/** What this tool noted where it stored the codes of another file. */
export function migratedTo({ metadata }: Header): Layout | undefined {
  const [name] = (metadata.get(MIGRATED_KEY) ?? '').split(' ');
  return LAYOUTS.find((layout) => layout === name);
}

/** By what describes it, else by how most of its weights look. */
function layoutOf(stored: StoredSource, comfyQuant: ReadonlyMap<string, string>, header: Header): VerifyReport['layout'] {
  if (comfyQuant.size > 0 || header.metadata.has('_quantization_metadata')) return 'comfyui';
  if (header.tensors.some(({ name }) => isScaledFp8Marker(name))) return 'comfyui-legacy';
  const counts = new Map<Layout, number>();
  for (const { layout, scales } of stored.byName.values()) if (scales !== undefined) counts.set(layout, (counts.get(layout) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'unknown';
}

function describedLayersOf(text: string | undefined): ConvertedFile['describedLayers'] {
  if (text === undefined) return undefined;
  const layers = jsonObject(jsonObject(parsedJson(text))?.['layers']);
  if (layers === undefined) return 'unreadable';
  return new Map(Object.entries(layers).map(([layer, description]) => [layer, formatOf(description)]));
}

/** The `format` of a layer's description; empty where it has none. */
export function formatOf(description: unknown): string {
  const format = jsonObject(description)?.['format'];
  return typeof format === 'string' ? format : '';
}

async function configBeside(folder: string): Promise<ConvertedFile['config']> {
  const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => '');
  return jsonObject(jsonObject(parsedJson(text))?.['quantization_config']);
}

/** Of every conversion that the file has gone through. */
function correctedBiasesOf(metadata: ReadonlyMap<string, string>): ReadonlySet<string> {
  const texts = [...metadata].flatMap(([key, text]) => (key.replace(/\.\d+$/, '') === CORRECTED_BIASES_KEY ? [text] : []));
  const names = texts.flatMap((text) => {
    const found = parsedJson(text);
    return Array.isArray(found) ? (found as readonly unknown[]) : [];
  });
  return new Set(names.filter((name) => typeof name === 'string'));
}

/** The latest entry, in case the source was itself made by this tool. */
function provenanceOf(metadata: ReadonlyMap<string, string>): ConvertedFile['provenance'] {
  let provenance: ConvertedFile['provenance'];
  for (const [key, text] of metadata) {
    const count = /^fp8_quantizer\.recipe(\.\d+)?$/.exec(key);
    const recipe = count === null ? undefined : jsonObject(parsedJson(text));
    if (recipe === undefined) continue;
    const version = metadata.get(`fp8_quantizer.version${count?.[1] ?? ''}`) ?? 'unknown';
    const layout = LAYOUTS.find((name) => name === recipe['layout']);
    const rounding = ROUNDINGS.find((name) => name === recipe['rounding']);
    const quantized = QUANTIZED.find((name) => name === recipe['quantized']);
    const { calibration } = recipe;
    provenance = {
      version,
      recipe: defaultRecipe({
        calibration: typeof calibration === 'string' ? calibration : null,
        presets: knownPresets(recipe['presets']),
        overrides: knownOverrides(recipe['overrides']),
        ...(layout === undefined ? {} : { layout }),
        ...(rounding === undefined ? {} : { rounding }),
        ...(quantized === undefined ? {} : { quantized }),
      }),
    };
  }
  return provenance;
}

/** The file may say anything. */
function knownPresets(names: unknown): readonly PresetName[] {
  const known = Object.keys(PRESETS) as readonly PresetName[];
  return Array.isArray(names) ? known.filter((preset) => names.includes(preset)) : [];
}

function knownOverrides(overrides: unknown): readonly Override[] {
  try {
    return parseRecipeFile(JSON.stringify({ overrides }), '').overrides ?? [];
  } catch {
    return [];
  }
}

export function layerOf(tensor: Pick<TensorInfo, 'name'>): string {
  return layerOfWeight(tensor.name) ?? tensor.name;
}
