/** ProgressView: one line that is redrawn on a terminal, now and then a plain line elsewhere. */
import { formatSeconds, formatThroughput } from '../../base/format';
import { printable, shortened } from './text';
import type { Style, Terminal } from './terminal';

/** What jobs and verifications both tell. */
export interface Progress {
  readonly fraction: number;
  readonly bytesPerSecond: number;
  readonly remainingSeconds?: number;
  readonly elapsedSeconds: number;
  readonly tensorsDone?: number;
  readonly tensorsTotal?: number;
  readonly current: readonly string[];
}

const BAR_WIDTH = 24;
/** Where there is little room, the bar makes way for the name, down to this. */
const LEAST_BAR_WIDTH = 8;
const NAME_WIDTH = 24;
const PLAIN_STEP = 0.1;
const PLAIN_SECONDS = 15;

export class ProgressView {
  #plainFraction = 0;
  #plainSeconds = 0;
  #latest: Progress | undefined;

  constructor(private readonly terminal: Terminal) {}

  show(progress: Progress): void {
    this.#latest = progress;
    const { redraw, style } = this.terminal;
    if (redraw !== undefined) {
      // The last column stays free: writing into it makes some terminals wrap.
      redraw(progressLine(progress, this.terminal.columns() - 1, style));
      return;
    }
    const step = progress.fraction - this.#plainFraction >= PLAIN_STEP && progress.elapsedSeconds - this.#plainSeconds >= 1;
    if (!step && progress.elapsedSeconds - this.#plainSeconds < PLAIN_SECONDS) return;
    this.#plainFraction = progress.fraction;
    this.#plainSeconds = progress.elapsedSeconds;
    this.terminal.tell(plainLine(progress));
  }

  /** Prints a line of its own; the progress comes back under it. */
  tell(line: string): void {
    this.terminal.tell(line);
    if (this.#latest !== undefined && this.terminal.redraw !== undefined) this.show(this.#latest);
  }

  clear(): void {
    this.#latest = undefined;
    this.terminal.redraw?.('');
  }
}

/** At most `columns` wide. What matters least goes first where there is little room. Pure. */
export function progressLine(progress: Progress, columns: number, style: Style): string {
  const percent = `${Math.floor(progress.fraction * 100)} %`.padStart(5);
  const figures = figuresOf(progress).join(' · ');
  const fixed = 1 + 2 + percent.length + figures.length;
  if (fixed + LEAST_BAR_WIDTH > columns) return shortened(`${percent}  ${figures}`, columns);
  const [current] = progress.current;
  const nameWidth = current === undefined ? 0 : 3 + Math.min(NAME_WIDTH, Array.from(printable(current)).length);
  const width = Math.max(LEAST_BAR_WIDTH, Math.min(BAR_WIDTH, columns - fixed - nameWidth));
  const filled = Math.round(progress.fraction * width);
  const bar = style.good('━'.repeat(filled)) + style.dim('─'.repeat(width - filled));
  const room = columns - fixed - width - 3;
  const name = current === undefined || room < 8 ? '' : ` · ${style.dim(shortened(printable(current), room))}`;
  return `${percent} ${bar}  ${figures}${name}`;
}

function plainLine(progress: Progress): string {
  return `${Math.floor(progress.fraction * 100)} % · ${figuresOf(progress).join(' · ')}`;
}

function figuresOf({ bytesPerSecond, remainingSeconds, tensorsDone, tensorsTotal }: Progress): readonly string[] {
  return [
    ...(tensorsTotal === undefined ? [] : [`${tensorsDone ?? 0}/${tensorsTotal}`]),
    formatThroughput(bytesPerSecond),
    remainingSeconds === undefined ? 'ETA –' : `ETA ${formatSeconds(remainingSeconds)}`,
  ];
}
