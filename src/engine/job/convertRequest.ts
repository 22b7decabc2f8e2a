/** ConvertRequest: everything that one conversion is asked for. */
import type { SourceDtype } from '../dtype';
import type { Layout, Recipe } from '../plan/recipe';

export type StoredWork =
  | { readonly kind: 'dequantize'; readonly dtype: SourceDtype }
  /** To another layout, with the same codes. */
  | { readonly kind: 'migrate'; readonly layout: Layout };

export interface ConvertRequest {
  /** A .safetensors file, the index of a sharded model or one of its shards, or the folder of a model. */
  readonly source: string;
  /** A .safetensors file, an index, or a folder: see outputForm. */
  readonly output: string;
  /** Above this, shards are begun anew; where it is absent, they are cut as the source's. */
  readonly maxShardBytes?: number;
  readonly recipe: Recipe;
  /** Where nothing is to be rounded; the recipe then has no say. */
  readonly work?: StoredWork;
  /** `auto`, `cpu`, `cuda`, `cuda:0`, … */
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
  /** Whether an existing output, and an existing report, may be replaced. */
  readonly overwrite: 'refuse' | 'replace';
  /** Where the report goes as JSON; without it the report is only in the stream. */
  readonly reportPath?: string;
}
