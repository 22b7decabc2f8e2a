/** OutputFormat: how a layout names, beside each quantized weight, its scale and what tells a loader to use it. */
import type { Dtype } from '../dtype';
import type { Header } from '../safetensors/header';
import type { Recipe } from './recipe';

export interface LiteralTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface OutputFormat {
  /** Every tensor that receives the F32 scale of `layer`. */
  scaleNames(layer: string, recipe: Recipe): readonly string[];
  /** Tensors of fixed content for `layer`. */
  layerLiterals(layer: string): readonly LiteralTensor[];
  /**
   * What the whole file gets; it has at least one quantized layer. Throws EngineError InvalidRecipe where loaders could not read the source's
   * own quantization beside it.
   */
  wholeFile(layers: readonly string[], header: Header, recipe: Recipe): WholeFile;
}

export interface WholeFile {
  readonly literals: readonly LiteralTensor[];
  /** Added to the source's metadata, or put in the place of its entries. */
  readonly metadata: ReadonlyMap<string, string>;
}
