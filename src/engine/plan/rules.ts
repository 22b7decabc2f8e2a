/**
 * The rules that decide what happens to a tensor: the first that applies wins, and its sentence is the tensor's reason.
 *
 * Which layers are quantized matters more than how they are rounded, so whatever is not known to be the weight of a matrix product is kept.
 */
import { formatInteger, formatShape } from '../../base/format';
import { isSourceDtype } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import type { Action, Decision, RuleId } from './decision';
import { PRESETS } from './presets';
import type { PresetName, Recipe } from './recipe';
import {
  DIFFUSION_MODEL_PREFIX,
  isBias,
  isEmbedding,
  isLora,
  isNorm,
  isOutputHead,
  isScaledFp8Marker,
  layerOfCompanion,
  layerOfWeight,
} from './tensorNames';

/** What the rules look at besides the tensor itself. */
export interface RuleContext {
  readonly recipe: Recipe;
  /** Tensors to keep for a reason that the header does not show. */
  readonly keepAnyway: ReadonlyMap<string, string>;
  /** Layers whose scale is stored in the source. */
  readonly scaledLayers: ReadonlySet<string>;
  readonly hasDiffusionModelPrefix: boolean;
}

interface Rule {
  readonly id: RuleId;
  readonly action: Action;
  /** The reason where the rule applies, otherwise undefined. */
  readonly reasonFor: (tensor: TensorInfo, context: RuleContext) => string | undefined;
}

/** Below this a scale and its header entries take about as much as FP8 saves. */
const TINY_ELEMENTS = 1024;

/** A matrix this tall and this much taller than wide is a table of a vocabulary. The tallest projections in use are about 9 times as tall as wide. */
const VOCABULARY_ROWS = 16_384;
const VOCABULARY_RATIO = 16;

export const RULES: readonly Rule[] = [
  { id: 'preset-remove', action: 'remove', reasonFor: ({ name }, { recipe }) => presetReason(name, recipe, 'remove') },
  { id: 'told', action: 'keep', reasonFor: ({ name }, { keepAnyway }) => keepAnyway.get(name) },
  { id: 'empty', action: 'keep', reasonFor: ({ shape }) => when(shape.includes(0), 'Empty: it has no elements.') },
  { id: 'quantized', action: 'keep', reasonFor: quantizedReason },
  {
    id: 'dtype',
    action: 'keep',
    reasonFor: ({ dtype }) => when(!isSourceDtype(dtype), `Dtype: ${dtype} is kept; only F32, F16 and BF16 are quantized.`),
  },
  { id: 'bias', action: 'keep', reasonFor: ({ name }) => when(isBias(name), 'Bias: it is added and has no matrix product.') },
  { id: 'preset-keep', action: 'keep', reasonFor: ({ name }, { recipe }) => presetReason(name, recipe, 'keep') },
  { id: 'norm', action: 'keep', reasonFor: ({ name }) => when(isNorm(name), 'Norm: it is small, and everything passes through it.') },
  {
    id: 'vector',
    action: 'keep',
    reasonFor: ({ shape }) =>
      when(shape.length < 2, `Vector: with ${shape.length === 0 ? 'no dimension' : 'one dimension'} it is no matrix.`),
  },
  {
    id: 'name',
    action: 'keep',
    reasonFor: ({ name }) => when(layerOfWeight(name) === undefined, 'Name: loaders look for a scale only beside ".weight".'),
  },
  {
    id: 'outside-model',
    action: 'keep',
    reasonFor: ({ name }, { hasDiffusionModelPrefix }) =>
      when(
        hasDiffusionModelPrefix && !name.startsWith(DIFFUSION_MODEL_PREFIX),
        `Part: it is outside ${DIFFUSION_MODEL_PREFIX.slice(0, -1)}, where loaders of checkpoints read no scales.`,
      ),
  },
  { id: 'lora', action: 'keep', reasonFor: ({ name }) => when(isLora(name), 'LoRA: loaders add it to other weights and read no scales.') },
  { id: 'embedding', action: 'keep', reasonFor: ({ name }) => when(isEmbedding(name), 'Embedding: it is looked up or feeds every layer.') },
  {
    id: 'output-head',
    action: 'keep',
    reasonFor: ({ name }) => when(isOutputHead(name), 'Output head: its errors reach the result directly.'),
  },
  {
    id: 'convolution',
    action: 'keep',
    reasonFor: ({ shape }, { recipe }) =>
      when(
        isConvolution(shape) && recipe.convolutions === 'keep',
        'Convolution: loaders such as ComfyUI ignore its scale, so it is quantized only on request.',
      ),
  },
  {
    id: 'rank',
    action: 'keep',
    reasonFor: ({ shape }) => when(shape.length > 5, `Rank: with ${shape.length} dimensions it is neither linear nor a convolution.`),
  },
  {
    id: 'tiny',
    action: 'keep',
    reasonFor: ({ shape }) =>
      when(elementCount(shape) < TINY_ELEMENTS, `Tiny: under ${formatInteger(TINY_ELEMENTS)} elements FP8 saves nothing.`),
  },
  {
    id: 'vocabulary',
    action: 'keep',
    reasonFor: ({ shape: [rows = 0, columns = 0, ...rest] }) =>
      when(
        rest.length === 0 && rows >= VOCABULARY_ROWS && rows > VOCABULARY_RATIO * columns,
        `Vocabulary: ${formatInteger(rows)} rows of ${formatInteger(columns)} look like an embedding or output head.`,
      ),
  },
  {
    id: 'convolution-on-request',
    action: 'quantize',
    reasonFor: ({ shape }) => when(isConvolution(shape), `Convolution: ${formatShape(shape)}, quantized on request.`),
  },
  { id: 'linear', action: 'quantize', reasonFor: ({ shape }) => `Linear weight: ${formatShape(shape)}.` },
];

export function ruleContext(header: Header, recipe: Recipe, keepAnyway: ReadonlyMap<string, string>): RuleContext {
  return {
    recipe,
    keepAnyway,
    scaledLayers: new Set(header.tensors.flatMap(({ name }) => layerOfCompanion(name) ?? [])),
    hasDiffusionModelPrefix: header.tensors.some(({ name }) => name.startsWith(DIFFUSION_MODEL_PREFIX)),
  };
}

export function decide(tensor: TensorInfo, context: RuleContext): Decision {
  for (const { id, action, reasonFor } of RULES) {
    const reason = reasonFor(tensor, context);
    if (reason !== undefined) return { action, rule: id, reason };
  }
  throw new Error(`no rule applies to ${tensor.name}`);
}

function when(applies: boolean, reason: string): string | undefined {
  return applies ? reason : undefined;
}

function presetReason(name: string, recipe: Recipe, list: 'remove' | 'keep'): string | undefined {
  for (const preset of recipe.presets) {
    const pattern = PRESETS[preset][list].find((part) => name.includes(part));
    if (pattern !== undefined) return presetSentence(preset, pattern, list);
  }
  return undefined;
}

function presetSentence(preset: PresetName, pattern: string, list: 'remove' | 'keep'): string {
  return `Preset ${preset}: names with "${pattern}" are ${list === 'remove' ? 'removed' : 'kept'}.`;
}

function quantizedReason({ name, dtype }: TensorInfo, { scaledLayers }: RuleContext): string | undefined {
  if (dtype.startsWith('F8_') || dtype.startsWith('F6_') || dtype === 'F4') return `Already quantized: ${dtype} is kept as it is.`;
  if (isScaledFp8Marker(name) || layerOfCompanion(name) !== undefined)
    return 'Already quantized: it describes how a weight in this file is stored.';
  const layer = layerOfWeight(name);
  return when(layer !== undefined && scaledLayers.has(layer), 'Already quantized: the file stores a scale for this weight.');
}

function isConvolution(shape: readonly number[]): boolean {
  return shape.length >= 3 && shape.length <= 5;
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
