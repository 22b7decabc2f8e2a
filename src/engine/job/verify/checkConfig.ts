/** checkConfig: does quantization_config say of a file what it holds? For the layouts whose loaders go by it. Pure. */
import { isEmbedding, isNorm, layerOfWeight } from '../../plan/tensorNames';
import { hasCodes, type TensorCheck } from './checkTensors';
import { checkBlockSize, checkGroups } from './configGroups';
import { nameList, type NameList } from './configNames';
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
  const groups = layout === 'compressed-tensors' ? checkGroups(config, checks) : { problems: checkBlockSize(config, checks), unread: [] };
  const names = nameList(config[kept]);
  return {
    problems: [...keptProblems(names, kept, checks), ...groups.problems],
    warnings: [...unreadPatterns(names.unread, kept), ...unreadPatterns(groups.unread, 'config_groups')],
  };
}

function* unreadPatterns(patterns: readonly string[], key: string): Generator<string> {
  for (const pattern of patterns) {
    yield `${key} in config.json has the pattern ${JSON.stringify(pattern)}, which is no regular expression here: which layers it names was not checked.`;
  }
}

/** Loaders expect codes in every linear layer that is not named, and none in those that are. */
function* keptProblems({ has, unread }: NameList, key: string, checks: readonly TensorCheck[]): Generator<string> {
  for (const check of checks) {
    const { source, state } = check;
    const layer = layerOf(source);
    const isLinear =
      source.shape.length === 2 && layerOfWeight(source.name) !== undefined && !isNorm(source.name) && !isEmbedding(source.name);
    if (hasCodes(check) && has(layer)) yield `${layer}: it is quantized, but ${key} in config.json names it.`;
    if (state === 'kept' && isLinear && !has(layer) && unread.length === 0)
      yield `${layer}: it is not quantized, but ${key} in config.json does not name it.`;
  }
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}
