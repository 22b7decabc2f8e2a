/** The status bar's item: how far conversions are, and the way to them. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { formatProgress, formatTimeLeft } from '../../base/format';
import type { ConversionState } from './conversionState';
import type { Conversions } from './conversions';
import { progressMessage } from './progressNotification';

export class ConversionStatusBar implements vscode.Disposable {
  readonly #item = vscode.window.createStatusBarItem('fp8.conversions', vscode.StatusBarAlignment.Left, 10);

  constructor(private readonly conversions: Conversions) {
    this.#item.name = 'FP8 Conversions';
    this.#item.command = 'fp8.showConversion';
  }

  /** To be called with every change of any conversion. */
  update(): void {
    const active = this.conversions.active.map((source) => ({ source, state: this.conversions.of(source).value }));
    const [first] = active;
    if (first === undefined) {
      this.#item.hide();
      return;
    }
    const running = active.find(({ state }) => state.phase === 'running') ?? first;
    const more = active.length > 1 ? ` (+${active.length - 1})` : '';
    this.#item.text = `$(sync~spin) FP8 ${shortly(running.state)}${more}`;
    this.#item.tooltip = active.map(({ source, state }) => `${basename(source)}: ${atLength(state)}`).join('\n');
    this.#item.accessibilityInformation = {
      label: `Converting to FP8: ${basename(running.source)}, ${shortly(running.state)}`,
      role: 'button',
    };
    this.#item.show();
  }

  dispose(): void {
    this.#item.dispose();
  }
}

function shortly(state: ConversionState): string {
  if (state.phase !== 'running' || state.progress === undefined) return 'starting';
  const { fraction, remainingSeconds } = state.progress;
  return `${formatProgress(fraction)}${remainingSeconds === undefined ? '' : ` · ${formatTimeLeft(remainingSeconds)}`}`;
}

function atLength(state: ConversionState): string {
  if (state.phase === 'queued') return 'waiting for another conversion';
  return state.phase === 'running' && state.progress !== undefined ? progressMessage(state.progress) : 'starting';
}
