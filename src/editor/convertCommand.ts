/** "Convert to FP8": from a file to a running conversion and the notification at its end. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import { TARGET_FACTS } from '../engine/plan/encoding';
import { defaultOutputPath } from '../engine/plan/outputPath';
import { sourceKind } from '../engine/safetensors/modelSource';
import { chooseOutput, type ChosenOutput } from './conversion/chooseOutput';
import type { ConversionOutcome } from './conversion/conversionState';
import type { Conversions } from './conversion/conversions';
import { showOutcome, type OutcomeActions } from './conversion/outcomeNotification';
import { withProgressNotification } from './conversion/progressNotification';
import type { ChoiceStore } from './recipe/choiceStore';

export class ConvertCommand {
  constructor(
    private readonly conversions: Conversions,
    private readonly actions: OutcomeActions,
    private readonly choices: ChoiceStore,
  ) {}

  /** Resolves with how the conversion ended; `undefined` where none was started. `output` leaves out the question about the name. */
  async run(uri: vscode.Uri, output?: ChosenOutput): Promise<ConversionOutcome | undefined> {
    const source = uri.fsPath;
    const obstacle = this.#obstacle(uri);
    if (obstacle !== undefined) {
      void vscode.window.showWarningMessage(obstacle);
      return undefined;
    }
    const { recipe, device, threads, output: named } = this.choices.wanted(uri);
    const fallback = defaultOutputPath(source, recipe, await sourceKind(source));
    const chosen = output ?? (await chooseOutput({ preferred: named ?? fallback, fallback, sources: [source] }));
    // While the question was open, the same conversion may have been started elsewhere.
    if (chosen === undefined || this.conversions.isActive(source)) return undefined;
    if (this.conversions.writes(chosen.path)) {
      void vscode.window.showWarningMessage(`Another conversion is already writing ${basename(chosen.path)}.`);
      return undefined;
    }
    const title = `Converting ${basename(source)} to ${TARGET_FACTS[recipe.target].word}`;
    const ended = this.conversions.start({ source, output: chosen.path, recipe, device, threads, overwrite: chosen.overwrite });
    const outcome = await withProgressNotification(title, this.conversions.of(source), ended, () => this.conversions.cancel(source));
    // The notification may stay for hours; whoever ran the command waits for the conversion only.
    void showOutcome(source, outcome, this.actions);
    return outcome;
  }

  #obstacle(uri: vscode.Uri): string | undefined {
    const name = basename(uri.fsPath);
    if (uri.scheme !== 'file') return `${name} is not on a disk of this machine: save it to a folder first.`;
    if (this.conversions.isActive(uri.fsPath)) return `${name} is already being converted.`;
    return undefined;
  }
}
