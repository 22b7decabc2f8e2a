/** StoredWeight: a weight that a source has as codes and scales, in the words in which a layout would store it. */
import type { TensorInfo } from '../../safetensors/header';
import type { Encoding } from '../encoding';
import type { MatrixStorage } from '../matrixStorage';
import type { Layout } from '../recipe';
import type { DeclaredEncoding } from './declaredEncodings';

export interface StoredWeight {
  /** As it is named in a model that is not quantized. */
  readonly name: string;
  /** By which it is stored, as far as its neighbours tell. */
  readonly layout: Layout;
  readonly encoding: Encoding;
  /** Of the numbers that it stands for. */
  readonly shape: readonly number[];
  readonly rows: number;
  readonly columns: number;
  /** Where its codes may be padded, and nothing tells by how much: its shape is then theirs. */
  readonly padding?: 'unknown';
  readonly storage: Omit<MatrixStorage, 'scaleForm'> & { readonly scaleForm: MatrixStorage['scaleForm'] | 'f16' | 'bf16' };
  readonly codes: TensorInfo;
  /** Absent where codes stand for themselves. */
  readonly scales?: TensorInfo;
  readonly tensorScale?: TensorInfo;
}

export interface StoredWeights {
  readonly byName: ReadonlyMap<string, StoredWeight>;
  /** Every tensor that only says how these are stored. */
  readonly companions: ReadonlySet<string>;
  /** Quantized tensors that are not understood, by their names in the file, with the reason as a sentence. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** What is known besides the header. */
export interface StorageFacts {
  /** What `<layer>.comfy_quant` and `_quantization_metadata` say of each layer. */
  readonly comfyFormats: ReadonlyMap<string, ComfyFormat>;
  /** `quantization_config` of the model's config.json. */
  readonly quantMethod?: string;
  /** Rows × columns of a block, where some description names them. */
  readonly blockSize?: readonly [number, number];
  /** What a file of this tool says of each layer. */
  readonly declared: ReadonlyMap<string, DeclaredEncoding>;
  /** Whether this tool wrote the file. */
  readonly ownFile: 'own' | 'unknown';
}

export interface ComfyFormat {
  readonly format: string;
  readonly isRotated: 'rotated' | 'as it is';
}
