/**
 * Layout `comfyui`, read by ComfyUI since December 2025: `<layer>.weight_scale` and, so that either suffices, both `<layer>.comfy_quant` and an
 * entry in the header's `_quantization_metadata`.
 */
import { EngineError } from '../../errors';
import { isScaledFp8Marker } from '../tensorNames';
import type { OutputFormat } from '../outputFormat';

const METADATA_KEY = '_quantization_metadata';
const LAYER_FORMAT = { format: 'float8_e4m3fn' } as const;
const COMFY_QUANT = new TextEncoder().encode(JSON.stringify(LAYER_FORMAT));

export const comfyui: OutputFormat = {
  scaleNames: (layer) => [`${layer}.weight_scale`],

  layerLiterals: (layer) => [{ name: `${layer}.comfy_quant`, dtype: 'U8', shape: [COMFY_QUANT.length], bytes: COMFY_QUANT }],

  wholeFile(layers, header) {
    const marker = header.tensors.find(({ name }) => isScaledFp8Marker(name));
    if (marker !== undefined) {
      throw new EngineError(
        'InvalidRecipe',
        `The source is already FP8 in part, in the layout comfyui-legacy (it has "${marker.name}"), which loaders cannot read beside the layout comfyui. ` +
          'Choose the layout comfyui-legacy.',
        { tensor: marker.name },
      );
    }
    const described = new Map<string, unknown>(Object.entries(describedLayers(header.metadata.get(METADATA_KEY))));
    for (const layer of layers) described.set(layer, LAYER_FORMAT);
    return { literals: [], metadata: new Map([[METADATA_KEY, metadataText(described)]]) };
  },
};

/** Written by hand, since an object with tens of thousands of keys is slow to make. */
function metadataText(described: ReadonlyMap<string, unknown>): string {
  const layers = Array.from(described, ([layer, format]) => `${JSON.stringify(layer)}:${JSON.stringify(format)}`);
  return `{"format_version":"1.0","layers":{${layers.join(',')}}}`;
}

/** The layers that the source's own metadata describes: they stay described. */
function describedLayers(text: string | undefined): object {
  if (text === undefined) return {};
  const layers = (parsed(text) as { readonly layers?: unknown } | undefined)?.layers;
  if (typeof layers === 'object' && layers !== null && !Array.isArray(layers)) return layers;
  throw new EngineError(
    'InvalidRecipe',
    `The source's metadata "${METADATA_KEY}" is not what loaders expect, so it cannot be extended. Remove it from the source, or start from an unquantized model.`,
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}
