/** ReportEntry: what a list of reports shows of each. Pure. */
import { basename, dirname } from 'node:path';
import { formatBytes, formatSeconds } from '../../base/format';
import { jsonObject, parsedJson } from '../../base/json';
import type { JobReport } from '../../engine/job/report';

export interface ReportEntry {
  /** Of the stored report. */
  readonly name: string;
  readonly source: string;
  readonly output: string;
  readonly finished: Date;
  readonly device: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly seconds: number;
}

/** One line. */
export function reportEntryText({ source, output, summary }: JobReport, finished: string): string {
  const { deviceName, bytesIn, bytesOut, seconds } = summary;
  return JSON.stringify({ source, output, finished, device: deviceName, bytesIn, bytesOut, seconds: seconds.total });
}

/** `undefined` where the text is not of an entry. */
export function parseReportEntry(name: string, text: string): ReportEntry | undefined {
  const { source, output, finished, device, bytesIn, bytesOut, seconds } = jsonObject(parsedJson(text)) ?? {};
  if (typeof source !== 'string' || typeof output !== 'string' || typeof finished !== 'string' || typeof device !== 'string')
    return undefined;
  if (typeof bytesIn !== 'number' || typeof bytesOut !== 'number' || typeof seconds !== 'number') return undefined;
  const time = new Date(finished);
  return Number.isNaN(time.getTime()) ? undefined : { name, source, output, finished: time, device, bytesIn, bytesOut, seconds };
}

/** Whether it tells of this model, as the source or as what was written; of a model in shards that is the folder. */
export function tellsOf({ source, output }: ReportEntry, path: string): boolean {
  return source === path || output === path || output === dirname(path);
}

/** What one model is to another one that was converted to it, or from it. */
export function relationOf(path: string, known: string, entries: readonly ReportEntry[]): string | undefined {
  const shared = entries.find((entry) => path !== known && tellsOf(entry, path) && tellsOf(entry, known));
  if (shared === undefined) return undefined;
  return shared.source === path ? 'its source' : 'converted from it';
}

export interface ReportItem {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** As a list shows it. */
export function reportItem({ source, output, finished, device, bytesIn, bytesOut, seconds }: ReportEntry): ReportItem {
  return {
    label: basename(output),
    description: finishedText(finished),
    detail: `${device} · ${formatBytes(bytesIn)} → ${formatBytes(bytesOut)} in ${formatSeconds(seconds)} · from ${source}`,
  };
}

export function finishedText(finished: Date): string {
  return finished.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}
