/** OutputFormat: how a layout stores a quantized matrix, and what tells its loaders so. Each is in formats/, as little but data. */
import type { Dtype } from '../dtype';
import type { Header } from '../safetensors/header';
import type { Encoding, Granularity, Target } from './encoding';
import type { MatrixStorage } from './matrixStorage';
import type { Recipe } from './recipe';

/** What a layout looks at of a tensor that may be quantized. */
export interface Matrix {
  readonly name: string;
  readonly shape: readonly number[];
  /** Out × in; all dimensions but the first together. */
  readonly rows: number;
  readonly columns: number;
  /** How many matrices are stacked in it. */
  readonly experts?: number;
}

export interface StoredTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface LiteralTensor extends StoredTensor {
  readonly bytes: Uint8Array;
}

/** Everything that one layer becomes. */
export interface StoredLayer {
  readonly storage: MatrixStorage;
  readonly weight: StoredTensor;
  /** Each receives all scales. */
  readonly scales: readonly StoredTensor[];
  /** Each receives the F32 scale of the tensor; only for the scale form `e4m3`. */
  readonly tensorScales: readonly StoredTensor[];
  readonly literals: readonly LiteralTensor[];
}

export interface QuantizedLayer {
  readonly layer: string;
  readonly encoding: Encoding;
  /** Rows × columns of the weight, where its codes are padded. */
  readonly paddedFrom?: readonly [rows: number, columns: number];
}

export interface OutputFormat {
  /** Who reads it, as the subject of a sentence. */
  readonly loader: string;
  /** What it can hold. The first granularity is what `auto` stands for. */
  readonly holds: Readonly<Partial<Record<Target, readonly Granularity['kind'][]>>>;
  /** Why it holds nothing else, as a sentence; the remedy follows it. */
  readonly limits: string;
  /** Whether a loader joins the projections of fusedProjections.ts, and refuses those that differ. */
  readonly projections: 'joined' | 'apart';
  /** Why this matrix cannot be stored, as a sentence; undefined where it can. */
  obstacle(matrix: Matrix, encoding: Encoding): string | undefined;
  /** What the recipe and the layers together make impossible, as sentences with their remedy. */
  refusal(layers: readonly QuantizedLayer[], recipe: Recipe): string | undefined;
  store(layer: string, matrix: Matrix, encoding: Encoding, recipe: Recipe): StoredLayer;
  /**
   * What the whole file gets; it has at least one quantized layer. Throws EngineError InvalidRecipe where loaders could not read the source's
   * own quantization beside it.
   */
  wholeFile(layers: readonly QuantizedLayer[], header: Header, recipe: Recipe): WholeFile;
}

export interface WholeFile {
  readonly literals: readonly LiteralTensor[];
  /** Added to the source's metadata, or put in the place of its entries. */
  readonly metadata: ReadonlyMap<string, string>;
}

export const NOTHING_MORE: WholeFile = { literals: [], metadata: new Map() };
