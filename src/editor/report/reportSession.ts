/** ReportSession: answers one report page. */
import { writeFile } from 'node:fs/promises';
import * as vscode from 'vscode';
import { formatPercent, formatQuantity, formatSeconds } from '../../base/format';
import { EngineError } from '../../engine/errors';
import type { JobReport } from '../../engine/job/report';
import type { VerifyEvent, VerifyReport, VerifyRequest } from '../../engine/job/verify/verifyEvent';
import type { ReportApi, ReportCommand, ReportView, VerificationView } from '../../webview/protocol/reportApi';
import { markdownReport } from './markdownReport';
import { reportView } from './reportView';
import type { Reports } from './reports';

export interface ReportServices {
  readonly verify: (request: VerifyRequest, signal: AbortSignal) => AsyncIterable<VerifyEvent>;
  readonly open: (output: string) => Promise<void>;
  readonly reveal: (output: string) => Promise<void>;
  readonly compare: (source: string, output: string) => void;
}

const SHOWN_PROBLEMS = 20;

export class ReportSession implements ReportApi {
  constructor(
    private readonly id: string,
    private readonly reports: Reports,
    private readonly services: ReportServices,
  ) {}

  async report(): Promise<ReportView | undefined> {
    const report = await this.reports.read(this.id);
    return report === undefined ? undefined : reportView(this.id, report);
  }

  async *verify(_: undefined, signal: AbortSignal): AsyncGenerator<VerificationView, void, undefined> {
    const report = await this.reports.read(this.id);
    if (report === undefined) return;
    yield { phase: 'running', fraction: 0 };
    for await (const event of this.services.verify({ converted: report.output, source: report.source, threads: 0 }, signal)) {
      switch (event.type) {
        case 'progress':
          yield { phase: 'running', fraction: event.fraction };
          break;
        case 'done':
          yield verified(event.report);
          break;
        case 'failed':
          yield { phase: 'bad', sentence: 'The file could not be verified.', problems: [event.error.message] };
          break;
        case 'cancelled':
        case 'tensorVerified':
          break;
      }
    }
  }

  async reportCommand(command: ReportCommand): Promise<void> {
    const report = await this.reports.read(this.id);
    if (report === undefined) return;
    switch (command) {
      case 'open':
        await this.services.open(report.output);
        return;
      case 'reveal':
        await this.services.reveal(report.output);
        return;
      case 'compare':
        this.services.compare(report.source, report.output);
        return;
      case 'saveJson':
        await save(report, { suffix: '.report.json', filter: 'JSON', text: `${JSON.stringify(report, undefined, 2)}\n` });
        return;
      case 'saveMarkdown':
        await save(report, { suffix: '.report.md', filter: 'Markdown', text: markdownReport(report) });
        return;
    }
  }
}

function verified(report: VerifyReport): VerificationView {
  const { ok, tensors, problems, warnings, relativeError, seconds } = report;
  const checked = formatQuantity(tensors.length, 'tensor');
  if (ok) {
    const sentence = `Verified ${checked} against the source in ${formatSeconds(seconds)}: everything is in its place${relativeError === undefined ? '' : `, error ${formatPercent(relativeError)}`}.`;
    return { phase: 'good', sentence, warnings };
  }
  const wrong = tensors.flatMap(({ name, problems: own }) => own.map((problem) => `${name}: ${problem}`));
  const all = [...problems, ...wrong];
  const shown = all.slice(0, SHOWN_PROBLEMS);
  if (all.length > shown.length) shown.push(`And ${formatQuantity(all.length - shown.length, 'other problem')}.`);
  return { phase: 'bad', sentence: `The file is not what its source says: ${formatQuantity(all.length, 'problem')}.`, problems: shown };
}

async function save(
  report: JobReport,
  { suffix, filter, text }: { readonly suffix: string; readonly filter: string; readonly text: string },
): Promise<void> {
  const uri = await vscode.window.showSaveDialog({
    title: 'Save the Report',
    defaultUri: vscode.Uri.file(report.output.replace(/\.safetensors$/i, '') + suffix),
    filters: { [filter]: [suffix.slice(suffix.lastIndexOf('.') + 1)] },
  });
  if (uri === undefined) return;
  try {
    await writeFile(uri.fsPath, text);
  } catch (error) {
    void vscode.window.showErrorMessage(`The report was not saved. ${EngineError.wrap(error).message}`);
    return;
  }
  await vscode.window.showTextDocument(uri);
}
