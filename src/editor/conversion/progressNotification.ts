/** The progress notification of a conversion: how far, which tensor, how fast, how long still, and Cancel. */
import * as vscode from 'vscode';
import type { ReadonlyObservable } from '../../base/observable';
import { formatProgress, formatThroughput, formatTimeLeft } from '../../base/format';
import type { JobProgress } from '../../engine/job/jobEvent';
import type { ConversionOutcome, ConversionState } from './conversionState';

/** Shows the notification until `outcome` settles. */
export async function withProgressNotification(
  title: string,
  state: ReadonlyObservable<ConversionState>,
  outcome: Promise<ConversionOutcome>,
  cancel: () => void,
): Promise<ConversionOutcome> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    async (progress, token) => {
      const cancellation = token.onCancellationRequested(() => {
        progress.report({ message: 'cancelling' });
        cancel();
      });
      let shownPercent = 0;
      const show = (now: ConversionState): void => {
        if (token.isCancellationRequested) return;
        if (now.phase === 'queued') progress.report({ message: 'waiting for another conversion' });
        if (now.phase !== 'running' || now.progress === undefined) return;
        const percent = now.progress.fraction * 100;
        progress.report({ message: progressMessage(now.progress), increment: Math.max(0, percent - shownPercent) });
        shownPercent = Math.max(shownPercent, percent);
      };
      const subscription = state.onChange(show);
      show(state.value);
      try {
        return await outcome;
      } finally {
        subscription.dispose();
        cancellation.dispose();
      }
    },
  );
}

export function progressMessage(progress: JobProgress): string {
  const parts = [formatProgress(progress.fraction)];
  if (progress.bytesPerSecond > 0) parts.push(formatThroughput(progress.bytesPerSecond));
  if (progress.remainingSeconds !== undefined) parts.push(formatTimeLeft(progress.remainingSeconds));
  const [current] = progress.current;
  return [parts.join(' · '), ...(current === undefined ? [] : [current])].join(' · ');
}
