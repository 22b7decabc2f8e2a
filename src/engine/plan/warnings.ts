/** What a user should know of a plan before running it. Pure. */
import { formatInteger, formatQuantity, formatShape } from '../../base/format';
import { isSourceDtype } from '../dtype';
import { familyOf } from '../families/families';
import type { FamilyRule } from '../families/familyRules';
import type { Recognition } from '../families/recognise';
import { isSensitiveName } from '../families/sensitiveNames';
import { isConvolution } from './matrix';
import { paddedFrom, storedSize } from './matrixStorage';
import type { PlannedTensor } from './plan';
import { overrideLookup, type Override } from './overrides';
import { PRESETS } from './presets';
import type { Recipe } from './recipe';
import type { RuleId } from './decision';
import { DIFFUSION_MODEL_PREFIX, isScaledFp8Marker, layerOfCompanion, layerOfWeight } from './tensorNames';
import { parsePattern } from './tensorPattern';
import { unevenBlocks } from './unevenBlocks';

export function planWarnings(
  tensors: readonly PlannedTensor[],
  recipe: Recipe,
  familyRuleOf: (tensorName: string) => FamilyRule | undefined,
  recognition: Pick<Recognition, 'family' | 'naming' | 'components'>,
): readonly string[] {
  return [
    nothingToQuantize(tensors, recipe.overrides),
    unevenBlocks(tensors, recipe)?.sentence,
    unknownModel(tensors, recipe, recognition.family),
    ...recipe.presets.map((preset) => idlePreset(tensors, preset) ?? strangePreset(tensors, preset, recognition)),
    idleOverrides(tensors, recipe.overrides),
    refusedOverrides(tensors, recipe.overrides),
    unusedParts(tensors, familyRuleOf),
    quantizedConvolutions(tensors),
    outsideModel(tensors, recipe),
    paddedWeights(tensors),
    legacyCasts(tensors, recipe),
    renamedOnLoading(tensors, recipe, recognition),
  ].filter((warning) => warning !== undefined);
}

/** With this begins the warning of a plan that is refused when it is to be carried out. */
export const NOTHING_TO_QUANTIZE = 'Nothing to quantize';

function nothingToQuantize(tensors: readonly PlannedTensor[], overrides: readonly Override[]): string | undefined {
  if (tensors.some(({ action }) => action === 'quantize')) return undefined;
  const already = nothingLeftToQuantize(tensors);
  if (already !== undefined) return already;
  const refused = tensors.filter(({ rule, source }) => rule === 'layout' && !isConvolution(source));
  const [foremost] = refused;
  if (foremost !== undefined) {
    const which =
      refused.length === 1
        ? `"${foremost.source.name}"`
        : `${formatQuantity(refused.length, 'matrix', 'matrices')} (e.g. "${foremost.source.name}")`;
    return `${NOTHING_TO_QUANTIZE}: the layout does not take ${which}. ${foremost.reason.replace(/^Layout: /, '')}`;
  }
  const convolutions = count(tensors, 'convolution');
  if (convolutions > 0) return `${NOTHING_TO_QUANTIZE} but ${formatQuantity(convolutions, 'convolution')}, done only on request.`;
  const overridden = tensors.filter(
    ({ rule, source: { name, dtype, shape } }) =>
      rule === 'override' && isSourceDtype(dtype) && shape.length >= 2 && layerOfWeight(name) !== undefined,
  );
  const [first] = overridden;
  if (first !== undefined) {
    const override = overrideLookup(overrides)(first.source.name);
    const which = override === undefined ? '' : ` (e.g. "${override.match}" → ${override.action})`;
    return `${NOTHING_TO_QUANTIZE}: overrides keep or remove ${formatQuantity(overridden.length, 'weight')}${which}, and nothing else could be quantized.`;
  }
  return `${NOTHING_TO_QUANTIZE}: no tensor is the weight of a linear layer in F32, F16 or BF16.`;
}

/** A sentence; `undefined` where something would be quantized, or nothing is yet. */
export function nothingLeftToQuantize(tensors: readonly PlannedTensor[]): string | undefined {
  const already = tensors.filter(({ rule, source: { name } }) => rule === 'quantized' && isWeight(name)).length;
  if (already === 0 || tensors.some(({ action }) => action === 'quantize')) return undefined;
  return `${NOTHING_TO_QUANTIZE}: the model is quantized already (${formatQuantity(already, 'weight')}).`;
}

/** Of what is stored quantized, as against the scales and markers beside it. */
function isWeight(name: string): boolean {
  return name.endsWith('.weight_packed') || (layerOfCompanion(name) === undefined && !isScaledFp8Marker(name));
}

/** Small files are parts and trials of people who know them. */
const LARGE_ELEMENTS = 2 ** 20;

function unknownModel(tensors: readonly PlannedTensor[], { presets }: Recipe, family: Recognition['family']): string | undefined {
  if (family !== 'unknown' || !presets.includes('auto')) return undefined;
  const byGeneralRules = tensors.filter(({ rule, action }) => rule !== 'override' && action === 'quantize');
  // Another preset names what is sensitive in its model.
  const sensitive = presets.length > 1 ? [] : byGeneralRules.filter(({ source: { name } }) => isSensitiveName(name));
  const [example] = sensitive;
  if (example !== undefined) {
    const look =
      sensitive.length === 1 ? 'looks like an embedder, modulation or a final layer' : 'look like embedders, modulation or final layers';
    return `The model is not recognised, and ${formatInteger(sensitive.length)} of its tensors ${look}, e.g. "${example.source.name}": keep ${sensitive.length === 1 ? 'it' : 'them'} by an override.`;
  }
  const general = byGeneralRules.filter(
    ({ quantization }) => quantization !== undefined && quantization.rows * quantization.columns >= LARGE_ELEMENTS,
  );
  if (general.length === 0) return undefined;
  return `The model is of no known family, so general rules alone chose the ${formatQuantity(general.length, 'large tensor')} to quantize (e.g. "${general[0]?.source.name ?? ''}"): look through the plan, and keep what is sensitive with overrides.`;
}

function idlePreset(tensors: readonly PlannedTensor[], preset: keyof typeof PRESETS): string | undefined {
  if (preset === 'auto') return undefined;
  const { keep, remove } = PRESETS[preset];
  const patterns = [...keep, ...remove];
  if (tensors.some(({ source: { name } }) => patterns.some((pattern) => name.includes(pattern)))) return undefined;
  return `The preset "${PRESETS[preset].label}" matches no tensor: it may not be meant for this model.`;
}

/** It does to one kind of model what is meant for another. What is of no known family may be of the preset's. */
function strangePreset(
  tensors: readonly PlannedTensor[],
  preset: keyof typeof PRESETS,
  { family, components }: Pick<Recognition, 'family' | 'components'>,
): string | undefined {
  const { label, families, keep, remove } = PRESETS[preset];
  if (families === 'any' || family === 'unknown' || components.some((component) => families.includes(component.family))) return undefined;
  const does = (verb: string, rule: RuleId, patterns: readonly string[]): string | undefined => {
    const named = tensors.filter((tensor) => tensor.rule === rule && patterns.some((pattern) => tensor.source.name.includes(pattern)));
    const [first] = named;
    if (first === undefined) return undefined;
    const others = named.length === 1 ? '' : ` and ${formatQuantity(named.length - 1, 'other')}`;
    return `${verb} "${first.source.name}"${others}`;
  };
  const done = does('removes', 'preset-remove', remove) ?? does('keeps', 'preset-keep', keep);
  if (done === undefined) return undefined;
  return `The preset "${label}" ${done}, and is not meant for this model, recognised as ${familyOf(family).title}.`;
}

function idleOverrides(tensors: readonly PlannedTensor[], overrides: readonly Override[]): string | undefined {
  if (overrides.length === 0) return undefined;
  const names = tensors.map(({ source: { name } }) => name);
  const known = new Set(names);
  const idle = overrides.filter(({ match }) => {
    const pattern = parsePattern(match);
    return pattern.kind === 'name' ? !known.has(pattern.name) : !names.some(pattern.matches);
  });
  const [first, ...others] = idle;
  if (first === undefined) return undefined;
  const more = others.length === 0 ? 'matches' : `and ${formatQuantity(others.length, 'other')} match`;
  return `The override "${first.match}" ${more} no tensor.`;
}

/** Those that would quantize what cannot be quantized. */
function refusedOverrides(tensors: readonly PlannedTensor[], overrides: readonly Override[]): string | undefined {
  if (!overrides.some(({ action }) => action === 'quantize')) return undefined;
  const lookup = overrideLookup(overrides);
  const decided = tensors.flatMap((tensor) => {
    const override = lookup(tensor.source.name);
    return override?.action === 'quantize' ? [{ tensor, override }] : [];
  });
  const refused = decided.filter(({ tensor: { action, rule } }) => action === 'keep' && rule !== 'override');
  const [first] = refused;
  if (first === undefined) return undefined;
  const concerned = new Set(refused.map(({ override }) => override));
  const all = decided.filter(({ override }) => concerned.has(override)).length;
  const { match } = first.override;
  const { name } = first.tensor.source;
  const others = concerned.size === 1 ? '' : ` and ${formatQuantity(concerned.size - 1, 'other')}`;
  const example = match === name ? '' : `, e.g. "${name}"`;
  if (all === 1) return `The override "${match}": its only tensor cannot be quantized${example}.`;
  const whose = concerned.size === 1 ? 'its' : 'their';
  const refusedOnes =
    refused.length === all
      ? `none of ${whose} ${formatQuantity(all, 'tensor')} can`
      : `${refused.length} of ${whose} ${formatQuantity(all, 'tensor')} cannot`;
  return `The override "${match}"${others}: ${refusedOnes} be quantized${example}.`;
}

/** A family takes nothing away by itself: the whole model may be wanted. */
function unusedParts(tensors: readonly PlannedTensor[], familyRuleOf: (tensorName: string) => FamilyRule | undefined): string | undefined {
  const rules = tensors.flatMap(({ action, source: { name } }) => {
    const rule = action === 'remove' ? undefined : familyRuleOf(name);
    return rule?.action === 'remove' ? [rule] : [];
  });
  const [first] = rules;
  if (first === undefined) return undefined;
  return `${first.reason.replace(/\.$/, '')}, and ${formatQuantity(rules.length, 'tensor')} are not of it: the preset "${PRESETS.t5xxl.label}" leaves them out.`;
}

function quantizedConvolutions(tensors: readonly PlannedTensor[]): string | undefined {
  const convolutions = count(tensors, 'convolution-on-request');
  if (convolutions === 0) return undefined;
  return `${formatQuantity(convolutions, 'convolution')} will be quantized, and ComfyUI ignores their scales: load the file with something else.`;
}

/** By overrides, since the rules keep them. */
function outsideModel(tensors: readonly PlannedTensor[], { layout }: Recipe): string | undefined {
  if (layout !== 'comfyui' && layout !== 'comfyui-legacy') return undefined;
  if (!tensors.some(({ source: { name } }) => name.startsWith(DIFFUSION_MODEL_PREFIX))) return undefined;
  const outside = tensors.filter(({ action, source: { name } }) => action === 'quantize' && !name.startsWith(DIFFUSION_MODEL_PREFIX));
  const [first] = outside;
  if (first === undefined) return undefined;
  const others = outside.length === 1 ? ' is' : ` and ${formatQuantity(outside.length - 1, 'other')} are`;
  return `"${first.source.name}"${others} quantized outside "${DIFFUSION_MODEL_PREFIX}", where ComfyUI reads no scales and would take the codes for weights: keep them, or convert that part as a file of its own.`;
}

/** ComfyUI tells models apart by the shapes of their weights, as they are stored. */
function paddedWeights(tensors: readonly PlannedTensor[]): string | undefined {
  const padded = tensors.filter(
    ({ quantization }) => quantization !== undefined && paddedFrom(quantization.stored.storage, quantization).paddedFrom !== undefined,
  );
  const [first] = padded;
  if (first?.quantization === undefined) return undefined;
  const { quantization, source } = first;
  const stored = storedSize(quantization.stored.storage, quantization);
  const others = padded.length === 1 ? ' is' : ` and ${formatQuantity(padded.length - 1, 'other')} are`;
  return `"${source.name}"${others} stored padded (${formatShape(source.shape)} as ${formatShape(stored)}), and ComfyUI tells models apart by shapes: it may take this one for another, or fail to load it. Keep what is padded with overrides, or choose float8_e4m3fn or int8, which leave shapes as they are.`;
}

function legacyCasts(tensors: readonly PlannedTensor[], recipe: Recipe): string | undefined {
  if (recipe.layout !== 'comfyui-legacy' || !tensors.some(({ action }) => action === 'quantize')) return undefined;
  const kept = tensors.filter(
    ({ action, source: { name, shape } }) => action === 'keep' && shape.length === 2 && name.endsWith('.weight'),
  ).length;
  if (kept === 0) return undefined;
  return `ComfyUI before December 2025 casts every linear weight of this layout to FP8, also the ${formatQuantity(kept, 'matrix', 'matrices')} kept here.`;
}

function renamedOnLoading(
  tensors: readonly PlannedTensor[],
  { layout }: Recipe,
  recognition: Pick<Recognition, 'family' | 'naming'>,
): string | undefined {
  if (layout !== 'comfyui' && layout !== 'comfyui-legacy') return undefined;
  if (!tensors.some(({ action }) => action === 'quantize')) return undefined;
  return diffusersNamed(
    tensors.map(({ source: { name } }) => name),
    recognition,
  );
}

/** Of a quantized model: ComfyUI renames and fuses such weights, and leaves their scales behind. `names` are those of all its tensors. */
export function diffusersNamed(names: readonly string[], { family, naming }: Pick<Recognition, 'family' | 'naming'>): string | undefined {
  const pattern = /(^|\.)(single_transformer_blocks|joint_transformer_blocks)\.|(^|\.)transformer_blocks\.0\.norm1_context\.linear\./;
  const isRenamed = family !== 'unknown' && familyOf(family).notes?.some((note) => note.naming === 'diffusers' && naming === 'diffusers');
  const named =
    names.find((name) => pattern.test(name)) ?? (isRenamed === true ? names.find((name) => name.endsWith('.weight')) : undefined);
  if (named === undefined) return undefined;
  return `The tensors are named as in diffusers (e.g. "${named}"): ComfyUI renames them on loading and loses the scales. Convert the model in its original naming.`;
}

function count(tensors: readonly PlannedTensor[], rule: RuleId): number {
  return tensors.filter((tensor) => tensor.rule === rule).length;
}
