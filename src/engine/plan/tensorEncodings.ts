/** tensorEncodings: which encoding and rounding each tensor gets if it is quantized, and what its layout has against it. Pure. */
import type { TensorInfo } from '../safetensors/header';
import { chooseEncoding, refuseBlockSize, wishOf } from './chooseEncoding';
import type { Encoding } from './encoding';
import { FORMATS } from './formats/formats';
import { matrixOf } from './matrix';
import { overrideLookup, type Override } from './overrides';
import type { Recipe, Rounding } from './recipe';

export interface TensorEncoding {
  readonly encoding: Encoding;
  readonly rounding: Rounding;
}

export interface TensorEncodings {
  readonly of: (tensorName: string) => TensorEncoding;
  /** A sentence; undefined where the layout can store the tensor. */
  readonly obstacle: (tensor: TensorInfo) => string | undefined;
}

/** Throws EngineError InvalidRecipe where the layout has no place for what the recipe or one of its overrides asks for. */
export function tensorEncodings(recipe: Recipe): TensorEncodings {
  const format = FORMATS[recipe.layout];
  const common = encodingOf(recipe);
  const particular = new Map<Override, TensorEncoding>();
  for (const override of recipe.overrides) {
    if (override.action === 'quantize' && asksForMore(override)) particular.set(override, encodingOf(recipe, override));
  }
  const overrideOf = particular.size === 0 ? () => undefined : overrideLookup(recipe.overrides);
  const of = (tensorName: string): TensorEncoding => {
    const override = overrideOf(tensorName);
    return (override === undefined ? undefined : particular.get(override)) ?? common;
  };
  return { of, obstacle: (tensor) => format.obstacle(matrixOf(tensor), of(tensor.name).encoding) };
}

function encodingOf(recipe: Recipe, override?: Override): TensorEncoding {
  const wish = wishOf(recipe, override);
  refuseBlockSize(wish.target, override?.blockSize);
  return { encoding: chooseEncoding(wish), rounding: wish.rounding };
}

function asksForMore({ target, granularity, blockSize, rounding }: Override): boolean {
  return target !== undefined || granularity !== undefined || blockSize !== undefined || rounding !== undefined;
}
