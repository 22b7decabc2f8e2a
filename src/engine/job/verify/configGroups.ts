/** configGroups: does the scheme that a configuration gives each quantized layer describe the codes and scales that it has? Pure. */
import { formatQuantity } from '../../../base/format';
import { jsonObject } from '../../../base/json';
import { granularityText, type BlockSize, type Encoding } from '../../plan/encoding';
import { matrixOf } from '../../plan/matrix';
import { packedFormat } from '../../plan/quantizationConfig';
import { hasCodes, type TensorCheck } from './checkTensors';
import { nameList } from './configNames';
import { layerOf } from './convertedFile';

type Json = Readonly<Record<string, unknown>>;

interface Group {
  /** As it is called in a sentence. */
  readonly name: string;
  readonly weights: Json;
  readonly format: unknown;
  readonly names: (layer: string) => boolean;
  /** Whether it is for linear layers that no group names. */
  readonly takes: 'linear layers' | 'named layers';
}

export interface GroupFindings {
  readonly problems: readonly string[];
  readonly unread: readonly string[];
}

/** Of the layout `compressed-tensors`. Layers of which the same is to be said are counted. */
export function checkGroups(config: Json, checks: readonly TensorCheck[]): GroupFindings {
  const groups = Object.entries(jsonObject(config['config_groups']) ?? {}).map(([key, value]) => groupOf(key, value, config));
  const unread = groups.flatMap((group) => group.unread);
  const said = checks.filter(hasCodes).flatMap((check): readonly (readonly [string, string])[] => {
    const layer = layerOf(check.source);
    const group = groups.find(({ names }) => names(layer)) ?? groups.find(({ takes }) => takes === 'linear layers');
    if (group !== undefined) return problemsOf(check, group).map((problem) => [layer, problem]);
    return unread.length > 0
      ? []
      : [[layer, 'it is quantized, and config_groups in config.json have no target for it, so its scales are not read.']];
  });
  return { problems: counted(said), unread };
}

/** Of the layout `huggingface`, which has one size for the whole model. */
export function checkBlockSize(config: Json, checks: readonly TensorCheck[]): readonly string[] {
  const value = config['weight_block_size'];
  const size = sizeOf(value);
  const said = checks.filter(hasCodes).flatMap((check): readonly (readonly [string, string])[] => {
    const { encoding } = check;
    // Without a size, one scale counts for the whole weight.
    if (encoding === undefined || ((value === undefined || value === null) && encoding.granularity.kind === 'tensor')) return [];
    if (size !== undefined && sameBlocks(check, encoding, size)) return [];
    const found = value === undefined ? 'missing' : JSON.stringify(value);
    return [[layerOf(check.source), `it has ${granularityText(encoding.granularity)}, and weight_block_size in config.json is ${found}.`]];
  });
  return counted(said);
}

function groupOf(key: string, value: unknown, config: Json): Group & { readonly unread: readonly string[] } {
  const group = jsonObject(value) ?? {};
  const targets = nameList(group['targets']);
  const isLinear = Array.isArray(group['targets']) && group['targets'].some((target) => /^[A-Za-z]*Linear$/.test(String(target)));
  return {
    name: `config_groups.${key} in config.json`,
    weights: jsonObject(group['weights']) ?? {},
    format: group['format'] ?? (config['format'] === 'mixed-precision' ? undefined : config['format']),
    names: targets.has,
    takes: isLinear ? 'linear layers' : 'named layers',
    unread: targets.unread,
  };
}

/** What is left out has the default of compressed-tensors. */
function problemsOf(check: TensorCheck, { name, weights, format }: Group): readonly string[] {
  const { encoding } = check;
  if (encoding === undefined) return [];
  const { target, granularity } = encoding;
  const wanted = { type: target === 'int8' ? 'int' : 'float', bits: target === 'nvfp4' ? 4 : 8, format: packedFormat(encoding) };
  const found = { type: weights['type'] ?? 'int', bits: weights['num_bits'] ?? 8 };
  const problems: string[] = [];
  if (found.type !== wanted.type || found.bits !== wanted.bits)
    problems.push(
      `its codes are ${wanted.type} of ${wanted.bits} bits (${target}), and ${name} says ${shown(found.type)} of ${shown(found.bits)}.`,
    );
  const size = blocksOf(weights);
  if (size === undefined || !sameBlocks(check, encoding, size))
    problems.push(`it has ${granularityText(granularity)}, and ${name} says ${strategyText(weights)}.`);
  const isNaive = format === 'naive-quantized' && target !== 'nvfp4' && target !== 'mxfp8';
  if (format !== undefined && format !== wanted.format && !isNaive)
    problems.push(`it is stored as "${wanted.format}", and ${name} says ${shown(format)}.`);
  return problems;
}

/** Larger than the matrix is all of it. */
function sameBlocks({ source }: TensorCheck, { granularity }: Encoding, [tall, wide]: BlockSize): boolean {
  const { rows, columns } = matrixOf(source);
  const [storedTall, storedWide] = blockSizeOf(granularity);
  return Math.min(tall, rows) === Math.min(storedTall, rows) && Math.min(wide, columns) === Math.min(storedWide, columns);
}

function blockSizeOf(granularity: Encoding['granularity']): BlockSize {
  switch (granularity.kind) {
    case 'tensor':
      return [Infinity, Infinity];
    case 'row':
      return [1, Infinity];
    case 'block':
      return [granularity.rows, granularity.columns];
  }
}

/** What shares a scale by a scheme; undefined where it is none of weights. */
function blocksOf(weights: Json): BlockSize | undefined {
  const group = weights['group_size'];
  const strategy = strategyOf(weights);
  if (strategy === 'tensor') return [Infinity, Infinity];
  if (strategy === 'channel') return [1, Infinity];
  if (strategy === 'block') return sizeOf(weights['block_structure']);
  if (strategy !== 'group' && strategy !== 'tensor_group') return undefined;
  return typeof group === 'number' && group > 0 ? [1, group] : undefined;
}

function strategyOf(weights: Json): unknown {
  const group = weights['group_size'] ?? undefined;
  return weights['strategy'] ?? (group === undefined ? 'tensor' : group === -1 ? 'channel' : 'group');
}

function strategyText(weights: Json): string {
  const strategy = strategyOf(weights);
  const size =
    strategy === 'block' ? weights['block_structure'] : strategy === 'tensor' || strategy === 'channel' ? undefined : weights['group_size'];
  return `strategy ${shown(strategy)}${size === undefined || size === null ? '' : ` of ${shown(size)}`}`;
}

/** `[128, 128]`, or as it was once written, `"128x128"`. */
function sizeOf(value: unknown): BlockSize | undefined {
  const parts: readonly unknown[] = typeof value === 'string' ? value.split('x').map(Number) : Array.isArray(value) ? value : [];
  const [rows, columns, ...more] = parts;
  if (typeof rows !== 'number' || typeof columns !== 'number' || more.length > 0) return undefined;
  return rows >= 1 && columns >= 1 ? [rows, columns] : undefined;
}

/** The first layer of which something is said, and how many others there are. */
function counted(said: readonly (readonly [layer: string, problem: string])[]): readonly string[] {
  const layers = new Map<string, string[]>();
  for (const [layer, problem] of said) layers.set(problem, [...(layers.get(problem) ?? []), layer]);
  return [...layers].map(([problem, [first = '', ...others]]) => {
    return `${first}: ${problem}${others.length === 0 ? '' : ` So it is with ${formatQuantity(others.length, 'other')}.`}`;
  });
}

function shown(value: unknown): string {
  return JSON.stringify(value);
}
