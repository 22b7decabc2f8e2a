/**
 * Layout `comfyui-legacy`, read by ComfyUI of any age: `<layer>.scale_weight` and, once, the marker `scaled_fp8`, whose dtype and number of elements
 * are the message. Two elements: weights are dequantized before the product. None: `<layer>.scale_input` exists as well.
 */
import { EngineError } from '../../errors';
import type { Header } from '../../safetensors/header';
import { TARGET_FACTS } from '../encoding';
import { storageOf } from '../matrixStorage';
import type { LiteralTensor, OutputFormat, QuantizedLayer, StoredTensor } from '../outputFormat';
import { PRESETS } from '../presets';
import type { Recipe } from '../recipe';
import { DIFFUSION_MODEL_PREFIX, isTokenTable } from '../tensorNames';

export const comfyuiLegacy: OutputFormat = {
  loader: 'ComfyUI',
  projections: 'apart',
  holds: { float8_e4m3fn: ['tensor'] },
  limits: 'The layout comfyui-legacy has one scale for each weight, and its loaders take every weight for float8_e4m3fn.',

  obstacle({ name, shape, experts }) {
    if (experts !== undefined) return 'ComfyUI names no place for the scales of stacked experts.';
    if (isTokenTable(name)) return 'ComfyUI before December 2025 ignores the scales of embeddings; the layout comfyui has them.';
    return shape.length === 2 ? undefined : 'ComfyUI ignores the scales of convolutions, and would take their codes for weights.';
  },

  refusal: () => undefined,

  store(layer, { name, shape, columns }, encoding, recipe) {
    const scale = (suffix: string): StoredTensor => ({ name: `${layer}.${suffix}`, dtype: 'F32', shape: [] });
    return {
      storage: { ...storageOf(encoding, columns), scaleOrder: 'plain' },
      weight: { name, dtype: TARGET_FACTS[encoding.target].dtype, shape },
      scales: hasInputScales(recipe) ? [scale('scale_weight'), scale('scale_input')] : [scale('scale_weight')],
      tensorScales: [],
      literals: [],
    };
  },

  wholeFile(layers, header, recipe) {
    if (header.metadata.has('_quantization_metadata')) {
      throw new EngineError(
        'InvalidRecipe',
        'The source is already quantized in part, in the layout comfyui, beside which loaders ignore the layout comfyui-legacy. Choose the layout comfyui.',
      );
    }
    return { literals: markers(layers, header, recipe), metadata: new Map() };
  },
};

function hasInputScales(recipe: Recipe): boolean {
  return recipe.presets.some((preset) => PRESETS[preset].inputScale === 'copyOfWeightScale');
}

/** The marker's place is the root of the part that loaders strip of its prefix. A marker that the source has already is kept instead. */
function markers(layers: readonly QuantizedLayer[], header: Header, recipe: Recipe): readonly LiteralTensor[] {
  const prefix = layers.some(({ layer }) => layer.startsWith(DIFFUSION_MODEL_PREFIX)) ? DIFFUSION_MODEL_PREFIX : '';
  const name = `${prefix}scaled_fp8`;
  const present = header.byName.get(name);
  if (present === undefined) {
    const elements = hasInputScales(recipe) ? 0 : 2;
    return [{ name, dtype: 'F8_E4M3', shape: [elements], bytes: new Uint8Array(elements) }];
  }
  if (present.dtype === 'F8_E4M3' || present.dtype === 'F32') return [];
  throw new EngineError(
    'InvalidRecipe',
    `The source's marker "${name}" says that its weights are ${present.dtype}, so F8_E4M3 weights cannot stand beside them. Start from an unquantized model.`,
    { tensor: name },
  );
}
