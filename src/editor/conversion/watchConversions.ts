/** What follows conversions whoever started them: rates for forecasts, free memory, and what is told of those that were cut off. */
import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { JobEvent } from '../../engine/job/jobEvent';
import type { Conversions } from './conversions';
import type { Devices } from './devices';
import { leftBehind, type Interruption } from './interruptions';
import type { Rates } from './rates';

export interface ConversionFollowers {
  readonly rates: Rates;
  readonly devices: Devices;
}

export async function followEvent(event: JobEvent, { rates, devices }: ConversionFollowers): Promise<void> {
  switch (event.type) {
    case 'done':
      devices.refresh();
      await rates.learn(event.report);
      return;
    case 'failed':
    case 'cancelled':
      devices.refresh();
      return;
    case 'planned':
    case 'tensorStarted':
    case 'tensorFinished':
    case 'progress':
    case 'warning':
    case 'log':
      return;
  }
}

/** Shows what was cut off, once it is known whether anything was left behind. */
export async function tellInterrupted(
  interrupted: readonly Interruption[],
  conversions: Conversions,
  convertAgain: (source: string) => void,
): Promise<void> {
  await Promise.all(
    interrupted.map(async ({ source, output }) => {
      const left = await leftBehind(output);
      conversions.interrupted(source, output, left);
      const remains = left.length === 0 ? 'Nothing was written.' : `Its unfinished file could not be removed: ${left.join(', ')}`;
      const message = `The conversion of ${basename(source)} was interrupted when the window closed. ${remains}`;
      const answer = await vscode.window.showWarningMessage(message, 'Convert Again');
      if (answer !== undefined) convertAgain(source);
    }),
  );
}
