/** encodingOptions: the options that say what weights become, for a whole model and for the tensors of one pattern. Pure. */
import {
  GRANULARITIES,
  MAX_BLOCK_EDGE,
  TARGETS,
  TARGET_FACTS,
  type BlockSize,
  type GranularityName,
  type Target,
} from '../engine/plan/encoding';
import type { Override } from '../engine/plan/overrides';
import { LAYOUTS, ROUNDINGS, type Layout, type Recipe } from '../engine/plan/recipe';
import type { Arguments } from './arguments';
import { UsageError } from './usageError';

type EncodingOptions = Pick<Recipe, 'layout' | 'target' | 'granularity' | 'blockSize'>;

/** What is given, and nothing else. Throws UsageError. */
export function readEncoding(given: Arguments): Partial<EncodingOptions> {
  const layout = readLayout(given, 'layout');
  const target = targetOf(given.text('target') ?? '') ?? given.choice('target', TARGETS);
  const granularity = given.text('granularity');
  return {
    ...(layout === undefined ? {} : { layout }),
    ...(target === undefined ? {} : { target }),
    ...(granularity === undefined ? {} : readGranularity(granularity, '--granularity')),
  };
}

/** Loaders that go by another name than the layout that they read. */
const LAYOUTS_OF_LOADERS: Readonly<Record<string, Layout>> = {
  vllm: 'compressed-tensors',
  sglang: 'compressed-tensors',
  llmcompressor: 'compressed-tensors',
  transformers: 'huggingface',
  hf: 'huggingface',
};

/** Throws UsageError. */
export function readLayout(given: Arguments, option: 'layout' | 'to'): Layout | undefined {
  const text = given.text(option) ?? '';
  const meant = LAYOUTS_OF_LOADERS[text.toLowerCase().replace(/[-_]/g, '')];
  if (meant !== undefined) throw new UsageError(`--${option} cannot be "${text}"; did you mean ${meant}? (${LAYOUTS.join(', ')})`);
  return given.choice(option, LAYOUTS);
}

/** As other programs call them, without dashes. */
const OTHER_NAMES: Readonly<Record<Target, readonly string[]>> = {
  float8_e4m3fn: ['fp8', 'float8', 'e4m3', 'e4m3fn', 'fp8e4m3', 'fp8e4m3fn', 'f8e4m3', 'f8e4m3fn', 'float8e4m3'],
  float8_e5m2: ['e5m2', 'fp8e5m2', 'f8e5m2'],
  int8: ['i8'],
  mxfp8: ['mxfp8e4m3', 'mxfp8e4m3fn'],
  nvfp4: ['fp4', 'nvfp4e2m1'],
};

function targetOf(text: string): Target | undefined {
  const plain = text.toLowerCase().replace(/[-_]/g, '');
  return TARGETS.find((target) => {
    const own = [target, TARGET_FACTS[target].suffix].map((name) => name.replace(/_/g, ''));
    return own.includes(plain) || OTHER_NAMES[target].includes(plain);
  });
}

/** `auto`, `tensor`, `row`, `block` or `block:64x64`. Throws UsageError. */
function readGranularity(text: string, option: string): { readonly granularity: GranularityName; readonly blockSize?: BlockSize } {
  const found = granularityOf(text);
  if (found !== undefined) return found;
  throw new UsageError(`${option} cannot be "${text}" (auto, tensor, row, block, or block:ROWSxCOLUMNS such as block:64x64)`);
}

function granularityOf(text: string): { readonly granularity: GranularityName; readonly blockSize?: BlockSize } | undefined {
  const name = GRANULARITIES.find((granularity) => granularity === text.toLowerCase());
  if (name !== undefined) return { granularity: name };
  const [rows = 0, columns = 0] = (/^block:(\d+)x(\d+)$/i.exec(text)?.slice(1) ?? []).map(Number);
  const isEdge = (edge: number): boolean => edge >= 1 && edge <= MAX_BLOCK_EDGE;
  return isEdge(rows) && isEdge(columns) ? { granularity: 'block', blockSize: [rows, columns] } : undefined;
}

/** Between a pattern and what its tensors become: `*.mlp.* => int8, row, nearest`. */
const ARROW = /\s*=>\s*/;

/** The value of `--quantize`. Throws UsageError. */
export function readQuantize(value: string): Omit<Override, 'action'> {
  const [match = '', words, ...more] = value.split(ARROW);
  if (words === undefined) return { match: value };
  if (more.length > 0) throw new UsageError(`--quantize has => twice in "${value}"`);
  const details: { -readonly [Key in 'target' | 'granularity' | 'blockSize' | 'rounding']?: Override[Key] } = {};
  for (const word of words.split(/[\s,]+/).filter((part) => part !== '')) {
    const lower = word.toLowerCase();
    const target = targetOf(word);
    const rounding = ROUNDINGS.find((name) => name === lower);
    const granularity = granularityOf(word);
    if (target !== undefined) details.target = target;
    else if (rounding !== undefined) details.rounding = rounding;
    else if (granularity !== undefined) Object.assign(details, granularity);
    else throw new UsageError(`--quantize: "${word}" after => is no target (${TARGETS.join(', ')}), granularity or rounding`);
  }
  return { match, ...details };
}
