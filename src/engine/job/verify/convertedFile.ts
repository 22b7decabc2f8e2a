/** ConvertedFile: what a converted file says of its own quantization: layout, scales, markers, and the recipe it was made with. */
import { PRESETS } from '../../plan/presets';
import type { Override } from '../../plan/overrides';
import { defaultRecipe, type PresetName, type Recipe } from '../../plan/recipe';
import { CORRECTED_BIASES_KEY } from '../../plan/outputMetadata';
import { parseRecipeFile } from '../../plan/recipeFile';
import { isScaledFp8Marker, layerOfWeight } from '../../plan/tensorNames';
import type { Header, TensorInfo } from '../../safetensors/header';
import type { SafetensorsFile } from '../../safetensors/reader';
import type { VerifyReport } from './verifyEvent';

export interface ConvertedFile {
  readonly header: Header;
  readonly layout: VerifyReport['layout'];
  /** By layer, e.g. `blocks.0.qkv`. */
  readonly scales: ReadonlyMap<string, LayerScale>;
  /** What `<layer>.comfy_quant` says, as text. */
  readonly comfyQuant: ReadonlyMap<string, string>;
  /** Layers of the header's `_quantization_metadata` and their formats; undefined where it is absent, `unreadable` where it is no such JSON. */
  readonly describedLayers: ReadonlyMap<string, string> | 'unreadable' | undefined;
  readonly marker: TensorInfo | undefined;
  /** Biases that this tool says it corrected: they differ from the source on purpose. */
  readonly correctedBiases: ReadonlySet<string>;
  /** What this tool noted of its making; absent in files of other tools. */
  readonly provenance?: { readonly version: string; /** As far as it decides what is removed. */ readonly recipe: Recipe };
}

export interface LayerScale {
  readonly tensor: TensorInfo;
  /** NaN where the tensor is not one F32 number. */
  readonly value: number;
}

const SCALE = /^(.+)\.(weight_scale|scale_weight)$/;
const COMFY_QUANT = /^(.+)\.comfy_quant$/;
const MAX_COMFY_QUANT_BYTES = 65_536;

export async function readConverted(file: SafetensorsFile): Promise<ConvertedFile> {
  const { header } = file;
  const scales = new Map<string, LayerScale>();
  const comfyQuant = new Map<string, string>();
  for (const tensor of header.tensors) {
    const scaled = SCALE.exec(tensor.name)?.[1];
    if (scaled !== undefined) scales.set(scaled, { tensor, value: await readScale(file, tensor) });
    const described = COMFY_QUANT.exec(tensor.name)?.[1];
    if (described !== undefined) comfyQuant.set(described, await readText(file, tensor));
  }
  const marker = header.tensors.find(({ name }) => isScaledFp8Marker(name));
  const provenance = provenanceOf(header.metadata);
  return {
    header,
    layout: layoutOf(header, marker),
    scales,
    comfyQuant,
    describedLayers: describedLayersOf(header.metadata.get('_quantization_metadata')),
    marker,
    correctedBiases: correctedBiasesOf(header.metadata),
    ...(provenance === undefined ? {} : { provenance }),
  };
}

async function readScale(file: SafetensorsFile, { dtype, begin, end }: TensorInfo): Promise<number> {
  if (dtype !== 'F32' || end - begin !== 4) return NaN;
  const bytes = await file.readRange(begin, end);
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true);
}

async function readText(file: SafetensorsFile, { begin, end }: TensorInfo): Promise<string> {
  return new TextDecoder().decode(await file.readRange(begin, Math.min(end, begin + MAX_COMFY_QUANT_BYTES)));
}

function layoutOf(header: Header, marker: TensorInfo | undefined): VerifyReport['layout'] {
  if (header.tensors.some(({ name }) => name.endsWith('.weight_scale'))) return 'comfyui';
  if (marker !== undefined || header.tensors.some(({ name }) => name.endsWith('.scale_weight'))) return 'comfyui-legacy';
  return 'unknown';
}

function describedLayersOf(text: string | undefined): ConvertedFile['describedLayers'] {
  if (text === undefined) return undefined;
  const layers = record(record(parsed(text))?.['layers']);
  if (layers === undefined) return 'unreadable';
  return new Map(Object.entries(layers).map(([layer, description]) => [layer, formatOf(description)]));
}

/** The `format` of a layer's description; empty where it has none. */
export function formatOf(description: unknown): string {
  const format = record(description)?.['format'];
  return typeof format === 'string' ? format : '';
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of every conversion that the file has gone through. */
function correctedBiasesOf(metadata: ReadonlyMap<string, string>): ReadonlySet<string> {
  const texts = [...metadata].flatMap(([key, text]) => (key.replace(/\.\d+$/, '') === CORRECTED_BIASES_KEY ? [text] : []));
  const names = texts.flatMap((text) => {
    const found = parsed(text);
    return Array.isArray(found) ? (found as readonly unknown[]) : [];
  });
  return new Set(names.filter((name) => typeof name === 'string'));
}

/** The latest entry, in case the source was itself made by this tool. */
function provenanceOf(metadata: ReadonlyMap<string, string>): ConvertedFile['provenance'] {
  let provenance: ConvertedFile['provenance'];
  for (const [key, text] of metadata) {
    const count = /^fp8_quantizer\.recipe(\.\d+)?$/.exec(key);
    const recipe = count === null ? undefined : record(parsed(text));
    if (recipe === undefined) continue;
    const version = metadata.get(`fp8_quantizer.version${count?.[1] ?? ''}`) ?? 'unknown';
    const presets = knownPresets(recipe['presets']);
    provenance = { version, recipe: defaultRecipe({ presets, overrides: knownOverrides(recipe['overrides']) }) };
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

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
}

export function layerOf(tensor: TensorInfo): string {
  return layerOfWeight(tensor.name) ?? tensor.name;
}
