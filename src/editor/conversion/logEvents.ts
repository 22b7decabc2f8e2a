/** The log's lines for the events of a job. */
import { basename } from 'node:path';
import type { LogOutputChannel } from 'vscode';
import { formatBytes, formatPercent, formatSeconds } from '../../base/format';
import type { JobEvent } from '../../engine/job/jobEvent';
import type { TensorReport } from '../../engine/job/report';

export function logEvent(log: LogOutputChannel, source: string, event: JobEvent): void {
  const file = basename(source);
  switch (event.type) {
    case 'planned':
      log.info(
        `${event.source} → ${event.output} on ${event.device}: ${event.counts.quantize} to quantize, ${event.counts.keep} to keep, ` +
          `${event.counts.remove} to remove; ${formatBytes(event.bytesIn)} → ${formatBytes(event.bytesOut)}`,
      );
      return;
    case 'tensorStarted':
    case 'progress':
      return;
    case 'tensorFinished':
      if (event.tensor.action === 'quantize') log.info(`${file}: ${quantizedLine(event.tensor)}`);
      else log.debug(`${file}: ${event.tensor.name} ${event.tensor.action}: ${event.tensor.reason}`);
      return;
    case 'warning':
      log.warn(`${file}: ${event.message}`);
      return;
    case 'log':
      log.info(`${file}: ${event.message}`);
      return;
    case 'done':
      log.info(
        `${file}: done in ${formatSeconds(event.report.summary.seconds.total)}, relative error ${formatPercent(event.report.summary.relativeError)}`,
      );
      return;
    case 'failed':
      log.error(`${file}: failed (${event.error.code}): ${event.error.message}`);
      return;
    case 'cancelled':
      log.info(`${file}: cancelled; nothing was written`);
      return;
  }
}

function quantizedLine(tensor: TensorReport): string {
  const { name, relativeError, objective, objectiveNearest, sweeps, seconds } = tensor;
  const parts = [formatSeconds(seconds)];
  if (relativeError !== undefined) parts.push(`relative error ${formatPercent(relativeError)}`);
  if (objective !== undefined && objectiveNearest !== undefined && objectiveNearest > 0) {
    parts.push(`objective ${formatPercent(objective / objectiveNearest)} of nearest`);
  }
  if (sweeps !== undefined && sweeps > 0) parts.push(`${sweeps} sweeps`);
  return `${name} quantized: ${parts.join(', ')}`;
}
