/** conversionView: what the webview is told of a conversion. Pure. */
import { basename } from 'node:path';
import type { ConversionView } from '../../webview/protocol/views';
import type { ConversionState } from './conversionState';

/** `lastReport`: when the last report of this model was made, in words. */
export function conversionView(state: ConversionState, lastReport?: string): ConversionView {
  const report = lastReport === undefined ? undefined : { lastReport };
  switch (state.phase) {
    case 'idle':
      return { phase: 'idle', ...report };
    case 'queued':
      return { phase: 'queued', outputName: basename(state.output) };
    case 'running': {
      const outputName = basename(state.output);
      if (state.progress === undefined) return { phase: 'running', outputName };
      const { fraction, bytesPerSecond, remainingSeconds, tensorsDone, tensorsTotal, current } = state.progress;
      return {
        phase: 'running',
        outputName,
        progress: {
          fraction,
          bytesPerSecond,
          tensorsDone,
          tensorsTotal,
          ...(remainingSeconds === undefined ? undefined : { remainingSeconds }),
          current,
        },
      };
    }
    case 'done': {
      const { bytesIn, bytesOut, seconds, relativeError, objectiveRatio } = state.report.summary;
      return {
        phase: 'done',
        outputName: basename(state.output),
        bytesIn,
        bytesOut,
        seconds: seconds.total,
        relativeError,
        ...(objectiveRatio === undefined ? undefined : { objectiveRatio }),
      };
    }
    case 'failed':
      return { phase: 'failed', message: state.error.message, ...report };
    case 'interrupted':
      return { phase: 'interrupted', outputName: basename(state.output), leftBehind: state.leftBehind, ...report };
    case 'cancelled':
      return { phase: 'cancelled', ...report };
  }
}
