/** recipeOptions: the options that make a recipe, read and validated. Pure. */
import { defaultRecipe, type PresetName, type Recipe } from '../engine/plan/recipe';
import type { Arguments } from './arguments';
import { UsageError } from './usageError';

const PRESET_FLAGS: readonly PresetName[] = ['t5xxl', 'keep_distillation'];

/** Throws UsageError. Options that a command does not have are simply absent. */
export function readRecipe(given: Arguments): Recipe {
  const presets = PRESET_FLAGS.filter((name) => given.has(name));
  const convolutions = given.choice('convolutions', ['keep', 'quantize']);
  const rounding = given.choice('rounding', ['learned', 'tpec', 'nearest']);
  const layout = given.choice('layout', ['comfyui', 'comfyui-legacy']);
  const topK = readTopK(given);
  const numIter = given.integer('num_iter', 1, 1_000_000);
  const calibSamples = given.integer('calib_samples', 512, 8192);
  const seed = given.integer('seed', 0);
  return defaultRecipe({
    ...(presets.length === 0 ? {} : { presets }),
    ...(convolutions === undefined ? {} : { convolutions }),
    ...(rounding === undefined ? {} : { rounding }),
    ...(layout === undefined ? {} : { layout }),
    ...(topK === undefined ? {} : { topK }),
    ...(numIter === undefined ? {} : { numIter }),
    ...(calibSamples === undefined ? {} : { calibSamples }),
    ...(seed === undefined ? {} : { seed }),
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
