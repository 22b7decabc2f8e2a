/**
 * The rules that decide what happens to a tensor: the first that applies wins, and its sentence is the tensor's reason.
 *
 * Which layers are quantized matters more than how they are rounded, so whatever is not known to be the weight of a matrix product is kept.
 */
import { formatInteger, formatQuantity, formatShape } from '../../base/format';
import { DTYPES, isSourceDtype, type Dtype } from '../dtype';
import type { FamilyRule } from '../families/familyRules';
import type { Header, TensorInfo } from '../safetensors/header';
import type { Action, Decision, RuleId } from './decision';
import { expertOrder, expertsOf, isConvolution, type ExpertOrder } from './matrix';
import { modelFamily } from './modelFamily';
import { overrideLookup, type Override, type OverrideLookup } from './overrides';
import { PRESETS } from './presets';
import type { Recipe } from './recipe';
import { tensorEncodings, type TensorEncodings } from './tensorEncodings';
import {
  DIFFUSION_MODEL_PREFIX,
  isBias,
  isEmbedding,
  isExpertParameter,
  isFusedAttention,
  isLora,
  isNorm,
  isOutputHead,
  isScaledFp8Marker,
  isTokenTable,
  isTransposedConvolution,
  layerOfCompanion,
  layerOfWeight,
  partnerOfExperts,
} from './tensorNames';

/** What the rules look at besides the tensor itself. */
export interface RuleContext {
  readonly recipe: Recipe;
  /** Tensors to keep for a reason that the header does not show. */
  readonly keepAnyway: ReadonlyMap<string, string>;
  /** Layers whose scale is stored in the source. */
  readonly scaledLayers: ReadonlySet<string>;
  readonly hasDiffusionModelPrefix: boolean;
  readonly overrideOf: OverrideLookup;
  /** Why the layout cannot store a tensor as it is asked for. */
  readonly obstacleOf: (tensor: TensorInfo) => string | undefined;
  /** Elements of the bias beside a weight. */
  readonly biasLengthOf: (tensorName: string) => number | undefined;
  /** How a stack of experts that is named like transformers' begins, as its shape and that of its partner tell. */
  readonly expertOrder: (tensor: TensorInfo) => ExpertOrder;
  /** What the recognised family keeps; nothing without the preset `auto`, or where no family is recognised. */
  readonly familyRuleOf: (tensorName: string) => FamilyRule | undefined;
}

interface Rule {
  readonly id: RuleId;
  readonly action: Action;
  /** The tensor cannot be quantized at all, also not by an override; the other rules are choices. */
  readonly holds?: 'always';
  readonly applies: (tensor: TensorInfo, context: RuleContext) => boolean;
  readonly reason: (tensor: TensorInfo, context: RuleContext) => string;
}

/** A matrix this tall and this much taller than wide is a table of a vocabulary. The tallest projections in use are about 9 times as tall as wide. */
const VOCABULARY_ROWS = 16_384;
const VOCABULARY_RATIO = 16;

export const RULES: readonly Rule[] = [
  {
    id: 'preset-remove',
    action: 'remove',
    applies: ({ name }, { recipe }) => presetMatch(name, recipe, 'remove') !== undefined,
    reason: ({ name }, { recipe }) => `${presetMatch(name, recipe, 'remove')} are removed.`,
  },
  {
    id: 'told',
    action: 'keep',
    holds: 'always',
    applies: ({ name }, { keepAnyway }) => keepAnyway.has(name),
    reason: ({ name }, { keepAnyway }) => keepAnyway.get(name) ?? '',
  },
  { id: 'empty', action: 'keep', holds: 'always', applies: ({ shape }) => shape.includes(0), reason: () => 'Empty: it has no elements.' },
  {
    id: 'quantized',
    action: 'keep',
    holds: 'always',
    applies: ({ dtype }) => isSmallFloat(dtype),
    reason: ({ dtype }) => `Already quantized: ${dtype} is kept as it is.`,
  },
  {
    id: 'quantized',
    action: 'keep',
    holds: 'always',
    applies: ({ name }) => isScaledFp8Marker(name) || layerOfCompanion(name) !== undefined,
    reason: () => 'Already quantized: it says how a weight in this file is stored.',
  },
  {
    id: 'quantized',
    action: 'keep',
    holds: 'always',
    applies: ({ name }, { scaledLayers }) => scaledLayers.has(layerOfWeight(name) ?? ''),
    reason: () => 'Already quantized: the file stores a scale for this weight.',
  },
  {
    id: 'dtype',
    action: 'keep',
    holds: 'always',
    applies: ({ dtype }) => !isSourceDtype(dtype),
    reason: ({ dtype }) => `Dtype: ${dtype} is kept; only F32, F16 and BF16 are quantized.`,
  },
  { id: 'bias', action: 'keep', applies: ({ name }) => isBias(name), reason: () => 'Bias: it is added and has no matrix product.' },
  {
    id: 'preset-keep',
    action: 'keep',
    applies: ({ name }, { recipe }) => presetMatch(name, recipe, 'keep') !== undefined,
    reason: ({ name }, { recipe }) => `${presetMatch(name, recipe, 'keep')} are kept.`,
  },
  { id: 'norm', action: 'keep', applies: ({ name }) => isNorm(name), reason: () => 'Norm: it is small, and everything passes through it.' },
  {
    id: 'vector',
    action: 'keep',
    holds: 'always',
    applies: ({ shape }) => shape.length < 2,
    reason: ({ shape }) => `Vector: with ${shape.length === 0 ? 'no dimension' : 'one dimension'} it is no matrix.`,
  },
  {
    id: 'name',
    action: 'keep',
    holds: 'always',
    applies: (tensor, { expertOrder }) =>
      layerOfWeight(tensor.name) === undefined || (isExpertParameter(tensor.name) && expertOrder(tensor) === 'unknown'),
    reason: (tensor) =>
      expertsOf(tensor) === undefined
        ? 'Name: loaders look for a scale only beside ".weight".'
        : 'Name: stacked experts that are not named ".weight" begin with their inputs in some models and with their outputs in others, which is known only of a "gate_up_proj" and a "down_proj" together.',
  },
  {
    id: 'transposed',
    action: 'keep',
    holds: 'always',
    applies: (tensor, { expertOrder }) => isExpertParameter(tensor.name) && expertOrder(tensor) === 'inputs first',
    reason: ({ shape }) => `Stacked experts: ${formatShape(shape)} has inputs before outputs, so its rows are no outputs.`,
  },
  {
    id: 'outside-model',
    action: 'keep',
    applies: ({ name }, { hasDiffusionModelPrefix }) => hasDiffusionModelPrefix && !name.startsWith(DIFFUSION_MODEL_PREFIX),
    reason: () => `Part: it is outside "${DIFFUSION_MODEL_PREFIX}", and loaders of checkpoints read no scales there.`,
  },
  {
    id: 'lora',
    action: 'keep',
    applies: ({ name }) => isLora(name),
    reason: () => 'LoRA: loaders add it to other weights and read no scales.',
  },
  {
    id: 'embedding',
    action: 'keep',
    applies: (tensor, { recipe }) => isEmbedding(tensor.name) && !isWantedTable(tensor, recipe),
    reason: () => 'Embedding: it is looked up, or everything passes through it.',
  },
  {
    id: 'output-head',
    action: 'keep',
    applies: ({ name }) => isOutputHead(name),
    reason: () => 'Output head: its errors reach the result directly.',
  },
  {
    id: 'convolution',
    action: 'keep',
    applies: (tensor, { recipe }) => isConvolution(tensor) && recipe.convolutions === 'keep',
    reason: () => 'Convolution: loaders such as ComfyUI ignore its scale, so it is quantized only on request.',
  },
  {
    id: 'transposed',
    action: 'keep',
    holds: 'always',
    applies: (tensor, context) =>
      isConvolution(tensor) && (isTransposedConvolution(tensor.name) || biasOfOtherLength(tensor, context) !== undefined),
    reason: (tensor, context) => {
      const bias = biasOfOtherLength(tensor, context);
      const evidence = bias === undefined ? '' : ` (its bias has ${formatQuantity(bias, 'element')})`;
      return `Transposed convolution: ${formatShape(tensor.shape)} begins with its inputs${evidence}, so it is no matrix of outputs × inputs.`;
    },
  },
  {
    id: 'rank',
    action: 'keep',
    holds: 'always',
    applies: ({ shape }) => shape.length > 5,
    reason: ({ shape }) => `Rank: with ${shape.length} dimensions it is neither linear nor a convolution.`,
  },
  {
    id: 'tiny',
    action: 'keep',
    applies: ({ shape }, { recipe }) => elementCount(shape) < recipe.minElements,
    reason: (_, { recipe }) => `Tiny: it has fewer than ${formatInteger(recipe.minElements)} elements.`,
  },
  {
    id: 'vocabulary',
    action: 'keep',
    applies: (tensor, { recipe }) => looksLikeVocabulary(tensor.shape) && !isWantedTable(tensor, recipe),
    reason: ({ shape }) => `Vocabulary: ${formatShape(shape)} looks like an embedding or output head.`,
  },
  {
    id: 'family',
    action: 'keep',
    applies: (tensor, { recipe, familyRuleOf }) => familyRuleOf(tensor.name)?.action === 'keep' && !isWantedTable(tensor, recipe),
    reason: ({ name }, { familyRuleOf }) => `Model family ${familyRuleOf(name)?.reason ?? ''}`,
  },
  {
    id: 'layout',
    action: 'keep',
    holds: 'always',
    applies: (tensor, { obstacleOf }) => obstacleOf(tensor) !== undefined,
    reason: (tensor, { obstacleOf }) => `Layout: ${obstacleOf(tensor) ?? ''}`,
  },
  {
    id: 'convolution-on-request',
    action: 'quantize',
    applies: (tensor) => isConvolution(tensor),
    reason: ({ shape }) => `Convolution: ${formatShape(shape)}, quantized on request.`,
  },
  {
    id: 'embedding-on-request',
    action: 'quantize',
    applies: (tensor, { recipe }) => isWantedTable(tensor, recipe),
    reason: ({ shape }) => `Embedding: ${formatShape(shape)}, quantized on request, each value to its nearest.`,
  },
  {
    id: 'experts',
    action: 'quantize',
    applies: (tensor) => expertsOf(tensor) !== undefined,
    reason: ({ shape }) => `Stacked experts: ${formatShape(shape)}.`,
  },
  {
    id: 'linear',
    action: 'quantize',
    applies: () => true,
    reason: ({ name, shape }) =>
      `Linear weight: ${formatShape(shape)}${isFusedAttention(name) ? ', queries, keys and values in one' : ''}.`,
  },
];

export function ruleContext(
  header: Header,
  recipe: Recipe,
  keepAnyway: ReadonlyMap<string, string>,
  encodings: TensorEncodings = tensorEncodings(recipe),
): RuleContext {
  return {
    recipe,
    keepAnyway,
    scaledLayers: new Set(header.tensors.flatMap(({ name }) => layerOfCompanion(name) ?? [])),
    hasDiffusionModelPrefix: header.tensors.some(({ name }) => name.startsWith(DIFFUSION_MODEL_PREFIX)),
    overrideOf: overrideLookup(recipe.overrides),
    obstacleOf: encodings.obstacle,
    biasLengthOf: (name) => header.byName.get(name.replace(/\.weight$/, '.bias'))?.shape[0],
    expertOrder: (tensor) => expertOrder(tensor, header.byName.get(partnerOfExperts(tensor.name))),
    familyRuleOf: recipe.presets.includes('auto') ? modelFamily(header).rules.ruleOf : () => undefined,
  };
}

/** Whether what the rule decides is no choice: nothing can quantize such a tensor. */
export function holdsAlways(rule: RuleId): boolean {
  return RULES.some(({ id, holds }) => id === rule && holds === 'always');
}

export function decide(tensor: TensorInfo, context: RuleContext): Decision {
  const override = context.overrideOf(tensor.name);
  if (override !== undefined) return overridden(tensor, override, context);
  const rule = RULES.find(({ applies }) => applies(tensor, context));
  if (rule === undefined) throw new Error(`no rule applies to ${tensor.name}`);
  return { action: rule.action, rule: rule.id, reason: rule.reason(tensor, context) };
}

function overridden(tensor: TensorInfo, override: Override, context: RuleContext): Decision {
  const { match, action } = override;
  const asked = action === 'quantize' ? askedFor(override) : '';
  const chosen: Decision = { action, rule: 'override', reason: `Override: ${match} → ${action}${asked}.` };
  if (action !== 'quantize') return chosen;
  const obstacle = RULES.find(({ holds, applies }) => holds === 'always' && applies(tensor, context));
  if (obstacle === undefined) return chosen;
  return { action: 'keep', rule: obstacle.id, reason: `Override: it cannot be quantized. ${obstacle.reason(tensor, context)}` };
}

/** ` as int8, block:64x64, nearest`: what the override has of its own. */
function askedFor({ target, granularity, blockSize, rounding }: Override): string {
  const block = blockSize === undefined ? granularity : `block:${blockSize.join('x')}`;
  const parts = [target, block, rounding].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` as ${parts.join(', ')}`;
}

/** The beginning of a sentence, e.g. `Preset t5xxl: names with "decoder"`, where a preset's list has part of the name. */
function presetMatch(name: string, recipe: Recipe, list: 'remove' | 'keep'): string | undefined {
  for (const preset of recipe.presets) {
    const pattern = PRESETS[preset][list].find((part) => name.includes(part));
    if (pattern !== undefined) return `Preset ${preset}: names with "${pattern}"`;
  }
  return undefined;
}

function isSmallFloat(dtype: Dtype): boolean {
  return DTYPES[dtype].kind === 'float' && DTYPES[dtype].bits <= 8;
}

/** A bias has an element for each output: where it has another length than the first dimension, that is not the outputs'. */
function biasOfOtherLength({ name, shape }: TensorInfo, { biasLengthOf }: RuleContext): number | undefined {
  const length = name.endsWith('.weight') ? biasLengthOf(name) : undefined;
  return length === shape[0] ? undefined : length;
}

function isWantedTable({ name, shape }: TensorInfo, { embeddings }: Recipe): boolean {
  return embeddings === 'quantize' && shape.length === 2 && isTokenTable(name);
}

function looksLikeVocabulary([rows = 0, columns = 0, ...rest]: readonly number[]): boolean {
  return rest.length === 0 && rows >= VOCABULARY_ROWS && rows > VOCABULARY_RATIO * columns;
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
