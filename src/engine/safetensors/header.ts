/** Header: what a valid safetensors file says of its tensors. A Header that exists is valid. */
import type { Dtype } from '../dtype';

export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  /** The dimensions' digits, only where one is above 2^53 and its number therefore not exact: such a tensor has no elements. */
  readonly exactShape?: readonly string[];
  /** Byte range of the data, from the start of the file. */
  readonly begin: number;
  readonly end: number;
  /** Which of the files of a sharded model has it, as an index into ModelSource.files; absent in the first, or where there is but one. */
  readonly file?: number;
}

export interface Header {
  /** In file order (by `begin`, then as the header lists them). */
  readonly tensors: readonly TensorInfo[];
  readonly byName: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__`, in the order of the file; empty where there is none. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the data begins: 8 + header length; 0 where the header is that of several files together. */
  readonly dataStart: number;
  readonly fileSize: number;
}
