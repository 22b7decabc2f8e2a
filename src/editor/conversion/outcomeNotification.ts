/** The notification that ends a conversion, with what can be done next. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { formatBytes, formatSeconds } from '../../base/format';
import { TARGET_FACTS } from '../../engine/plan/encoding';
import type { ConversionOutcome } from './conversionState';

export interface OutcomeActions {
  open(output: string): Promise<void>;
  reveal(output: string): Promise<void>;
  showReport(outcome: Extract<ConversionOutcome, { readonly phase: 'done' }>): Promise<void>;
  showLog(): void;
}

/** Resolves when the notification is gone and what was chosen has happened. */
export async function showOutcome(source: string, outcome: ConversionOutcome, actions: OutcomeActions): Promise<void> {
  switch (outcome.phase) {
    case 'done': {
      const { bytesIn, bytesOut, seconds } = outcome.report.summary;
      const { word } = TARGET_FACTS[outcome.report.recipe.target];
      const message = `Converted ${basename(source)} to ${word} in ${formatSeconds(seconds.total)}: ${formatBytes(bytesIn)} → ${formatBytes(bytesOut)}.`;
      const answer = await vscode.window.showInformationMessage(message, 'Open', 'Reveal', 'Show Report');
      if (answer === 'Open') await actions.open(outcome.output);
      if (answer === 'Reveal') await actions.reveal(outcome.output);
      if (answer === 'Show Report') await actions.showReport(outcome);
      return;
    }
    case 'failed': {
      const answer = await vscode.window.showErrorMessage(`${basename(source)} was not converted. ${outcome.error.message}`, 'Show Log');
      if (answer === 'Show Log') actions.showLog();
      return;
    }
    case 'cancelled':
      vscode.window.setStatusBarMessage(`Conversion of ${basename(source)} cancelled; nothing was written`, 5000);
      return;
  }
}
