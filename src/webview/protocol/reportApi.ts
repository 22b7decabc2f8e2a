/** ReportApi: what the report page shows, and what can be done from it. */
import type { ActionName } from './views';

export interface ReportView {
  /** By which the page is found again after a reload. */
  readonly id: string;
  readonly fileName: string;
  readonly source: string;
  readonly output: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly relativeError: number;
  readonly objectiveRatio?: number;
  readonly seconds: number;
  readonly facts: readonly { readonly label: string; readonly value: string }[];
  readonly phases: readonly { readonly label: string; readonly seconds: number }[];
  /** Quantized ones, in file order. */
  readonly tensors: readonly ReportTensor[];
  /** Of them, some that come off worst, worst first. */
  readonly worst: readonly ReportTensor[];
  /** What was kept or removed, most bytes first. */
  readonly others: readonly ReportGroup[];
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
}

export interface ReportTensor {
  readonly name: string;
  readonly shape: string;
  readonly relativeError: number;
  /** Objective as a share of what nearest rounding reaches; absent for rounding `nearest`. */
  readonly objectiveShare?: number;
  /** √objective ÷ ‖W‖: the error as it reaches the layer's output, of what was written and of nearest rounding. */
  readonly outputError?: number;
  readonly outputErrorNearest?: number;
  readonly sweeps?: number;
  readonly seconds: number;
}

export interface ReportGroup {
  readonly action: ActionName;
  readonly reason: string;
  readonly tensors: number;
  readonly bytes: number;
}

export type VerificationView =
  | { readonly phase: 'running'; readonly fraction: number }
  | { readonly phase: 'good'; readonly sentence: string; readonly warnings: readonly string[] }
  | { readonly phase: 'bad'; readonly sentence: string; readonly problems: readonly string[] };

export type ReportCommand = 'open' | 'reveal' | 'compare' | 'saveJson' | 'saveMarkdown';

export interface ReportApi {
  /** `undefined` where the report is no longer kept. */
  report(params: undefined, signal: AbortSignal): Promise<ReportView | undefined>;
  verify(params: undefined, signal: AbortSignal): AsyncIterable<VerificationView>;
  reportCommand(command: ReportCommand, signal: AbortSignal): Promise<void>;
}
