/** ConvertRequest: everything that one conversion is asked for. */
import type { Recipe } from '../plan/recipe';

export interface ConvertRequest {
  readonly source: string;
  readonly output: string;
  readonly recipe: Recipe;
  /** `auto`, `cpu`, `cuda`, `cuda:0`, … */
  readonly device: string;
  /** 0 means all cores. */
  readonly threads: number;
  /** Whether an existing output, and an existing report, may be replaced. */
  readonly overwrite: 'refuse' | 'replace';
  /** Where the report goes as JSON; without it the report is only in the stream. */
  readonly reportPath?: string;
}
