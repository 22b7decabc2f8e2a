/** checkConfig: does quantization_config say of a file what it holds? For the layouts whose loaders go by it. Pure. */
import { isEmbedding, isNorm, layerOfWeight } from '../../plan/tensorNames';
import { hasCodes, type TensorCheck } from './checkTensors';
import { layerOf, type ConvertedFile } from './convertedFile';

export interface LayoutFindings {
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const KEYS = {
  'compressed-tensors': { method: 'compressed-tensors', kept: 'ignore' },
  huggingface: { method: 'fp8', kept: 'modules_to_not_convert' },
} as const;

export function checkConfig({ layout, config }: ConvertedFile, checks: readonly TensorCheck[]): LayoutFindings {
  if (layout !== 'compressed-tensors' && layout !== 'huggingface') return { problems: [], warnings: [] };
  const { method, kept } = KEYS[layout];
  if (config === undefined) {
    return {
      problems: [],
      warnings: [
        `There is no config.json with quantization_config beside the file, without which loaders of the layout ${layout} ignore every scale.`,
      ],
    };
  }
  const found = config['quant_method'];
  if (found !== method) return { problems: [`quant_method in config.json is ${shown(found)} instead of "${method}".`], warnings: [] };
  return { problems: [...keptProblems(config[kept], kept, checks), ...blockProblems(layout, config, checks)], warnings: [] };
}

/** Loaders expect codes in every linear layer that is not named, and none in those that are. */
function* keptProblems(list: unknown, key: string, checks: readonly TensorCheck[]): Generator<string> {
  const named = Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : [];
  const isNamed = (layer: string): boolean =>
    named.some((name) => (name.startsWith('re:') ? new RegExp(`^(?:${name.slice(3)})`).test(layer) : name === layer));
  for (const check of checks) {
    const { source, state } = check;
    const layer = layerOf(source);
    const isLinear =
      source.shape.length === 2 && layerOfWeight(source.name) !== undefined && !isNorm(source.name) && !isEmbedding(source.name);
    if (hasCodes(check) && isNamed(layer)) yield `${layer}: it is quantized, but ${key} in config.json names it.`;
    if (state === 'kept' && isLinear && !isNamed(layer)) yield `${layer}: it is not quantized, but ${key} in config.json does not name it.`;
  }
}

function* blockProblems(
  layout: 'compressed-tensors' | 'huggingface',
  config: Readonly<Record<string, unknown>>,
  checks: readonly TensorCheck[],
): Generator<string> {
  if (layout !== 'huggingface') return;
  const size = shown(config['weight_block_size']);
  for (const { source, encoding } of checks) {
    if (encoding?.granularity.kind !== 'block') continue;
    const { rows, columns } = encoding.granularity;
    if (size === `[${rows},${columns}]`) continue;
    yield `${source.name}: its blocks are ${rows} × ${columns}, and weight_block_size in config.json is ${size}.`;
    return;
  }
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}
