/**
 * Layout `comfyui`, read by ComfyUI since December 2025: `<layer>.weight_scale` and, so that either suffices, both `<layer>.comfy_quant` and an
 * entry in the header's `_quantization_metadata`.
 */
import { jsonObject, parsedJson } from '../../../base/json';
import { EngineError } from '../../errors';
import { TARGET_FACTS, type Encoding, type Target } from '../encoding';
import { roundedUp, scaleGrid, storageOf } from '../matrixStorage';
import type { LiteralTensor, Matrix, OutputFormat, StoredLayer, StoredTensor } from '../outputFormat';
import { isEmbedding, isScaledFp8Marker } from '../tensorNames';

const METADATA_KEY = '_quantization_metadata';

/** What the loader calls each target. */
export const COMFY_FORMATS: Readonly<Record<Target, string>> = {
  float8_e4m3fn: 'float8_e4m3fn',
  float8_e5m2: 'float8_e5m2',
  int8: 'int8_tensorwise',
  mxfp8: 'mxfp8',
  nvfp4: 'nvfp4',
};

/** The codes' rows and columns are padded to multiples of this. */
export const CODE_PADDING = { mxfp8: 32, nvfp4: 16 } as const;
const SCALE_TILE = { rows: 128, columns: 4 } as const;

export const comfyui: OutputFormat = {
  loader: 'ComfyUI',
  projections: 'apart',
  holds: {
    float8_e4m3fn: ['tensor'],
    float8_e5m2: ['tensor'],
    int8: ['row', 'tensor'],
    mxfp8: ['block'],
    nvfp4: ['block'],
  },
  limits: 'Stock ComfyUI reads one scale for each FP8 weight, and of INT8 weights also one for each row.',

  obstacle({ name, shape, experts }, { target }) {
    if (experts !== undefined) return 'ComfyUI names no place for the scales of stacked experts.';
    if (shape.length !== 2) return 'ComfyUI ignores the scales of convolutions, and would take their codes for weights.';
    if (isEmbedding(name) && (target === 'mxfp8' || target === 'nvfp4')) return `ComfyUI does not read embeddings in ${target}.`;
    return undefined;
  },

  refusal: () => undefined,

  store(layer, matrix, encoding) {
    const { target } = encoding;
    const bytes = layerMarker(target);
    const literals: readonly LiteralTensor[] = [{ name: `${layer}.comfy_quant`, dtype: 'U8', shape: [bytes.length], bytes }];
    if (target === 'mxfp8' || target === 'nvfp4') return { ...blockScaled(layer, matrix, encoding, target), literals };
    const scaleShape = encoding.granularity.kind === 'row' ? [matrix.rows, 1] : [];
    return {
      storage: { ...storageOf(encoding, matrix.columns), scaleOrder: 'plain' },
      weight: { name: matrix.name, dtype: TARGET_FACTS[target].dtype, shape: matrix.shape },
      scales: [{ name: `${layer}.weight_scale`, dtype: 'F32', shape: scaleShape }],
      tensorScales: [],
      literals,
    };
  },

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
    for (const { layer, encoding } of layers) described.set(layer, layerFormat(encoding));
    return { literals: [], metadata: new Map([[METADATA_KEY, metadataText(described)]]) };
  },
};

/** The same bytes for every layer of a target: a model has tens of thousands of layers. */
function layerMarker(target: Target): Uint8Array {
  const known = layerMarkers.get(target);
  if (known !== undefined) return known;
  const made = new TextEncoder().encode(JSON.stringify(layerFormat({ target })));
  layerMarkers.set(target, made);
  return made;
}

const layerMarkers = new Map<Target, Uint8Array>();

function layerFormat({ target }: Pick<Encoding, 'target'>): { readonly format: string } {
  return { format: COMFY_FORMATS[target] };
}

/** The loader views a weight as padded, and its scales as tiles. */
function blockScaled(layer: string, matrix: Matrix, encoding: Encoding, target: 'mxfp8' | 'nvfp4'): Omit<StoredLayer, 'literals'> {
  const multiple = CODE_PADDING[target];
  const storedRows = roundedUp(matrix.rows, multiple);
  const storedColumns = roundedUp(matrix.columns, multiple);
  const storage = storageOf(encoding, matrix.columns);
  const [scaleRows, scaleColumns] = scaleGrid(matrix.rows, matrix.columns, storage.block);
  const scaleShape = [roundedUp(scaleRows, SCALE_TILE.rows), roundedUp(scaleColumns, SCALE_TILE.columns)];
  const scale: StoredTensor = { name: `${layer}.weight_scale`, dtype: target === 'mxfp8' ? 'U8' : 'F8_E4M3', shape: scaleShape };
  const common = { ...storage, scaleOrder: 'swizzled', storedRows, storedColumns } as const;
  return target === 'mxfp8'
    ? {
        storage: common,
        weight: { name: matrix.name, dtype: 'F8_E4M3', shape: [storedRows, storedColumns] },
        scales: [scale],
        tensorScales: [],
      }
    : {
        storage: { ...common, nibbles: 'evenHigh', tensorScaleForm: 'factor' },
        weight: { name: matrix.name, dtype: 'U8', shape: [storedRows, storedColumns / 2] },
        scales: [scale],
        tensorScales: [{ name: `${layer}.weight_scale_2`, dtype: 'F32', shape: [] }],
      };
}

/** Written by hand, since an object with tens of thousands of keys is slow to make. */
function metadataText(described: ReadonlyMap<string, unknown>): string {
  const layers = Array.from(described, ([layer, format]) => `${JSON.stringify(layer)}:${JSON.stringify(format)}`);
  return `{"format_version":"1.0","layers":{${layers.join(',')}}}`;
}

/** The layers that the source's own metadata describes: they stay described. */
function describedLayers(text: string | undefined): object {
  if (text === undefined) return {};
  const layers = jsonObject(jsonObject(parsedJson(text))?.['layers']);
  if (layers !== undefined) return layers;
  throw new EngineError(
    'InvalidRecipe',
    `The source's metadata "${METADATA_KEY}" is not what loaders expect, so it cannot be extended. Remove it from the source, or start from an unquantized model.`,
  );
}
