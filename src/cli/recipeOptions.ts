/** recipeOptions: the options that make a recipe, read and validated. */
import { resolve } from 'node:path';
import { formatQuantity } from '../base/format';
import { EngineError } from '../engine/errors';
import { refuseBlockSize } from '../engine/plan/chooseEncoding';
import type { Override } from '../engine/plan/overrides';
import { readRecipeFile } from '../engine/plan/readRecipeFile';
import {
  BIAS_CORRECTIONS,
  CONVOLUTIONS,
  EMBEDDINGS,
  defaultRecipe,
  PRESET_NAMES,
  ROUNDINGS,
  SIDES,
  STATISTICS,
  type PresetName,
  type Recipe,
} from '../engine/plan/recipe';
import { parsePattern } from '../engine/plan/tensorPattern';
import type { Arguments } from './arguments';
import { readEncoding, readQuantize } from './encodingOptions';
import { UsageError } from './usageError';

const PRESET_FLAGS: readonly PresetName[] = ['t5xxl', 'keep_distillation'];

/** Options that a command does not have are simply absent. Throws UsageError; EngineError where a recipe file cannot be used. */
export async function readRecipe(given: Arguments): Promise<Recipe> {
  const path = given.text('recipe');
  const options = recipeOptions(given);
  const file = path === undefined ? {} : await readRecipeFile(path);
  const recipe = defaultRecipe({ ...file, ...options, overrides: [...(file.overrides ?? []), ...(options.overrides ?? [])] });
  refuseBlockSize(recipe.target, options.blockSize ?? (recipe.granularity === 'block' ? file.blockSize : undefined));
  return recipe;
}

/** What is given, and nothing else. Throws UsageError. */
function recipeOptions(given: Arguments): Partial<Recipe> {
  const presets = readPresets(given);
  const convolutions = given.choice('convolutions', CONVOLUTIONS);
  const embeddings = given.choice('embeddings', EMBEDDINGS);
  const rounding = given.choice('rounding', ROUNDINGS);
  const statistics = given.choice('statistics', STATISTICS);
  const sides = given.choice('sides', SIDES);
  const biasCorrection = given.choice('bias-correction', BIAS_CORRECTIONS);
  const calibration = given.text('calibration');
  const topK = readTopK(given);
  const numIter = given.integer('num_iter', 1, 1_000_000);
  const calibSamples = given.integer('calib_samples', 512, 8192);
  const seed = given.integer('seed', 0);
  const minElements = given.integer('min_elements', 0);
  return {
    ...(presets === undefined ? {} : { presets }),
    ...(convolutions === undefined ? {} : { convolutions }),
    ...(embeddings === undefined ? {} : { embeddings }),
    ...(rounding === undefined ? {} : { rounding }),
    ...readEncoding(given),
    ...(minElements === undefined ? {} : { minElements }),
    ...(topK === undefined ? {} : { topK }),
    ...(numIter === undefined ? {} : { numIter }),
    ...(statistics === undefined ? {} : { statistics }),
    ...(sides === undefined ? {} : { sides }),
    // The engine is another process, with another idea of what a relative path is relative to should one of them ever move.
    ...(calibration === undefined ? {} : { calibration: resolve(calibration) }),
    ...(biasCorrection === undefined ? {} : { biasCorrection }),
    ...(calibSamples === undefined ? {} : { calibSamples }),
    ...(seed === undefined ? {} : { seed }),
    ...(given.has('requantize') ? { quantized: 'requantize' as const } : {}),
    overrides: readOverrides(given),
  };
}

/** Presets that are asked for stand in the place of `auto`, unless it is asked for as well. Throws UsageError. */
function readPresets(given: Arguments): readonly PresetName[] | undefined {
  const named = given.choice('preset', [...PRESET_NAMES, 'none']);
  const wanted = new Set<PresetName>(PRESET_FLAGS.filter((name) => given.has(name)));
  if (named === 'none' && wanted.size > 0) throw new UsageError(`--preset none and --${[...wanted].join(', --')} exclude each other`);
  if (named === undefined && wanted.size === 0) return undefined;
  if (named !== undefined && named !== 'none') wanted.add(named);
  return PRESET_NAMES.filter((name) => wanted.has(name));
}

function readOverrides(given: Arguments): readonly Override[] {
  return given.inOrder(['keep', 'quantize', 'remove']).map(({ name: action, value }) => {
    const override = action === 'quantize' ? readQuantize(value) : { match: value };
    try {
      parsePattern(override.match);
    } catch (error) {
      throw new UsageError(`--${action}: ${EngineError.wrap(error).message}`);
    }
    return { ...override, action };
  });
}

/** Throws UsageError. */
export function readDevice(given: Arguments): string {
  const text = given.text('device')?.toLowerCase() ?? 'auto';
  if (/^(auto|cpu|cuda(:\d+)?)$/.test(text)) return text;
  throw new UsageError(`--device cannot be "${text}" (auto, cpu, cuda, cuda:0, cuda:1, …; see fp8 devices)`);
}

/** 0 stands for every core. Throws UsageError. */
export function readThreads(given: Arguments): number {
  return given.integer('threads', 0, 1024) ?? 0;
}

function readTopK(given: Arguments): number | 'full' | undefined {
  if (given.text('top_k')?.toLowerCase() === 'full') return 'full';
  try {
    return given.integer('top_k', 1, 1_000_000);
  } catch {
    throw new UsageError(`--top_k must be full or a whole number, 1 or more; it is "${given.text('top_k')}"`);
  }
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Below this a model would be thousands of files. */
const LEAST_SHARD_BYTES = 1e6;

/** Throws UsageError. */
export function readMaxShardBytes(given: Arguments): number | undefined {
  const text = given.text('max-shard-size');
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text);
  const unit = UNITS[match?.[2]?.toUpperCase() ?? ''];
  const bytes = match === null || unit === undefined ? NaN : Math.floor(Number(match[1]) * unit);
  if (bytes >= LEAST_SHARD_BYTES && Number.isSafeInteger(bytes)) return bytes;
  if (bytes >= 0 && bytes < LEAST_SHARD_BYTES)
    throw new UsageError(
      `--max-shard-size must be 1MB or more; "${text}" is ${formatQuantity(bytes, 'byte')}${match?.[2] === '' ? `: did you mean ${text}GB?` : ''}`,
    );
  throw new UsageError(`--max-shard-size must be a size such as 5GB or 900MiB; it is "${text}"`);
}
