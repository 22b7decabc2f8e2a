/** ConversionState: the fold of one job's events, as far as the editor shows it. Pure. */
import type { SerializedError } from '../../engine/errors';
import type { JobEvent, JobProgress } from '../../engine/job/jobEvent';
import type { JobReport } from '../../engine/job/report';
import type { PlotPoint } from '../../webview/protocol/panelApi';

export type ConversionState =
  | { readonly phase: 'idle' }
  | { readonly phase: 'queued'; readonly output: string }
  | { readonly phase: 'running'; readonly output: string; readonly progress?: JobProgress; readonly finished: readonly PlotPoint[] }
  /** It was cut off when the window closed or reloaded. */
  | { readonly phase: 'interrupted'; readonly output: string; readonly leftBehind: readonly string[] }
  | ConversionOutcome;

export type ConversionOutcome =
  | { readonly phase: 'done'; readonly output: string; readonly report: JobReport }
  | { readonly phase: 'failed'; readonly output: string; readonly error: SerializedError }
  | { readonly phase: 'cancelled'; readonly output: string };

export const IDLE: ConversionState = { phase: 'idle' };

/** The same state where an event changes nothing that is shown. */
export function afterEvent(state: ConversionState, output: string, event: JobEvent): ConversionState {
  switch (event.type) {
    case 'progress':
      return { phase: 'running', output, progress: event, finished: finishedOf(state) };
    case 'tensorFinished': {
      const { name, objective, objectiveNearest } = event.tensor;
      if (state.phase !== 'running' || objective === undefined || objectiveNearest === undefined || objectiveNearest === 0) return state;
      return { ...state, finished: [...state.finished, { name, value: objective / objectiveNearest }] };
    }
    case 'done':
      return { phase: 'done', output, report: event.report };
    case 'failed':
      return { phase: 'failed', output, error: event.error };
    case 'cancelled':
      return { phase: 'cancelled', output };
    case 'planned':
    case 'tensorStarted':
    case 'warning':
    case 'log':
      return state;
  }
}

function finishedOf(state: ConversionState): readonly PlotPoint[] {
  return state.phase === 'running' ? state.finished : [];
}

export function isOutcome(state: ConversionState): state is ConversionOutcome {
  return state.phase === 'done' || state.phase === 'failed' || state.phase === 'cancelled';
}
