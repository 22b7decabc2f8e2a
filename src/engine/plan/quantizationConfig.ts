/**
 * quantizationConfig: what a plan's layout wants in config.json as `quantization_config`, beside the tensors. Pure. Sources: the configuration
 * classes of compressed-tensors and of transformers' fine-grained FP8.
 */
import { sameEncoding, TARGET_FACTS, type Encoding } from './encoding';
import type { Plan, PlannedTensor } from './plan';
import { layerOfWeight } from './tensorNames';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type QuantizationConfig = Readonly<Record<string, Json>>;

/** Undefined where loaders of the layout look for none, and where nothing is quantized. */
export function quantizationConfig({ recipe, tensors }: Pick<Plan, 'recipe' | 'tensors'>): QuantizationConfig | undefined {
  const groups = encodingGroups(tensors);
  const [first] = groups;
  if (first === undefined) return undefined;
  switch (recipe.layout) {
    case 'compressed-tensors':
      return compressedTensorsConfig(groups, keptLayers(tensors));
    case 'huggingface':
      return fineGrainedConfig(first.encoding, keptLayers(tensors));
    case 'comfyui':
    case 'comfyui-legacy':
    case 'plain':
      return undefined;
  }
}

interface EncodingGroup {
  readonly encoding: Encoding;
  readonly layers: readonly string[];
}

/** The encoding of most layers first. */
function encodingGroups(tensors: readonly PlannedTensor[]): readonly EncodingGroup[] {
  const groups: { readonly encoding: Encoding; readonly layers: string[] }[] = [];
  for (const { source, quantization } of tensors) {
    const layer = layerOfWeight(source.name);
    if (quantization === undefined || layer === undefined) continue;
    const { encoding } = quantization;
    const group = groups.find((known) => sameEncoding(known.encoding, encoding));
    if (group === undefined) groups.push({ encoding, layers: [layer] });
    else group.layers.push(layer);
  }
  return groups.sort((a, b) => b.layers.length - a.layers.length);
}

/** Loaders expect every linear layer that is not named here to be quantized. An output head that shares the embedding has no tensor of its own. */
function keptLayers(tensors: readonly PlannedTensor[]): readonly string[] {
  const layers = tensors.flatMap(({ action, quantization, source: { name, shape } }) => {
    const layer = layerOfWeight(name);
    return action === 'keep' && quantization === undefined && shape.length === 2 && layer !== undefined ? [layer] : [];
  });
  const hasHead = tensors.some(({ source: { name } }) => name === 'lm_head.weight');
  return hasHead ? layers : [...layers, 'lm_head'];
}

function compressedTensorsConfig(groups: readonly EncodingGroup[], kept: readonly string[]): QuantizationConfig {
  const formats = new Set(groups.map(({ encoding }) => packedFormat(encoding)));
  const [format = ''] = formats;
  const entries = groups.map(({ encoding, layers }, index) => {
    // The largest group names the kind of layer, the others every layer: what is named is looked at first.
    const targets = index === 0 ? ['Linear'] : layers;
    return [`group_${index}`, { targets, ...scheme(encoding), output_activations: null, format: packedFormat(encoding) }] as const;
  });
  return {
    quant_method: 'compressed-tensors',
    format: formats.size > 1 ? 'mixed-precision' : format,
    quantization_status: 'compressed',
    config_groups: Object.fromEntries(entries),
    ignore: kept,
    kv_cache_scheme: null,
    global_compression_ratio: null,
  };
}

/** What compressed-tensors calls the way in which codes are stored. */
export function packedFormat({ target }: Pick<Encoding, 'target'>): string {
  switch (target) {
    case 'mxfp8':
      return 'mxfp8-quantized';
    case 'nvfp4':
      return 'nvfp4-pack-quantized';
    case 'int8':
      return 'int-quantized';
    case 'float8_e4m3fn':
    case 'float8_e5m2':
      return 'float-quantized';
  }
}

/** Activations are quantized while the model runs: to 8 bits for each token, or for each group of a token where weights have groups as well. */
function scheme(encoding: Encoding): { readonly weights: Json; readonly input_activations: Json } {
  const { target, granularity } = encoding;
  const type = target === 'int8' ? 'int' : 'float';
  const weights = { num_bits: target === 'nvfp4' ? 4 : 8, type, symmetric: true, dynamic: false, observer: 'memoryless_minmax' };
  const activations = { num_bits: 8, type, symmetric: true, dynamic: true };
  const groupSize = TARGET_FACTS[target].block?.columns ?? null;
  switch (target) {
    case 'nvfp4':
      // Four-bit activations need a scale that only calibration gives.
      return { weights: { ...weights, strategy: 'tensor_group', group_size: groupSize }, input_activations: null };
    case 'mxfp8': {
      const group = { strategy: 'group', group_size: groupSize, scale_dtype: 'torch.uint8' };
      return { weights: { ...weights, ...group }, input_activations: { ...activations, ...group } };
    }
    case 'float8_e4m3fn':
    case 'float8_e5m2':
    case 'int8':
      break;
  }
  switch (granularity.kind) {
    case 'tensor':
      return { weights: { ...weights, strategy: 'tensor' }, input_activations: { ...activations, strategy: 'token' } };
    case 'row':
      return { weights: { ...weights, strategy: 'channel' }, input_activations: { ...activations, strategy: 'token' } };
    case 'block': {
      const { rows, columns } = granularity;
      const shape = rows === 1 ? { strategy: 'group', group_size: columns } : { strategy: 'block', block_structure: [rows, columns] };
      return { weights: { ...weights, ...shape }, input_activations: { ...activations, strategy: 'group', group_size: columns } };
    }
  }
}

function fineGrainedConfig({ granularity }: Encoding, kept: readonly string[]): QuantizationConfig {
  const size = granularity.kind === 'block' ? [granularity.rows, granularity.columns] : null;
  return { quant_method: 'fp8', activation_scheme: 'dynamic', weight_block_size: size, modules_to_not_convert: kept };
}
