/** Terminal: where a command prints, and what that place can show. */
import type { WriteStream } from 'node:tty';

export interface Terminal {
  /** Results: the plan, the report, tables, JSON. */
  print(text: string): void;
  /** What is only of interest meanwhile: progress, warnings, errors. */
  tell(text: string): void;
  /** Replaces the line that is being redrawn; undefined where `tell` goes to no terminal. */
  readonly redraw?: (line: string) => void;
  /** Of the line that is redrawn. */
  columns(): number;
  readonly style: Style;
}

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly good: (text: string) => string;
  readonly warning: (text: string) => string;
  readonly bad: (text: string) => string;
}

export const plainStyle: Style = {
  bold: (text) => text,
  dim: (text) => text,
  good: (text) => text,
  warning: (text) => text,
  bad: (text) => text,
};

const colouredStyle: Style = {
  bold: sgr(1, 22),
  dim: sgr(2, 22),
  good: sgr(32, 39),
  warning: sgr(33, 39),
  bad: sgr(31, 39),
};

const DEFAULT_COLUMNS = 80;

/** A reader that goes away, as `head` does, ends the printing and nothing else. */
export function processTerminal(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Terminal {
  const writeOut = writerOf(stdout);
  const writeError = writerOf(stderr);
  const isScreen = stderr.isTTY && environment['TERM'] !== 'dumb';
  const coloured = stdout.isTTY && isScreen && (environment['NO_COLOR'] ?? '') === '';
  let drawn = '';
  const clear = (): void => {
    if (drawn !== '') writeError('\r\x1b[K');
    drawn = '';
  };
  return {
    print(text) {
      clear();
      writeOut(`${text}\n`);
    },
    tell(text) {
      clear();
      writeError(`${text}\n`);
    },
    ...(isScreen
      ? {
          redraw(line: string) {
            if (line === drawn) return;
            writeError(line === '' ? '\r\x1b[K' : `\r${line}\x1b[K`);
            drawn = line;
          },
        }
      : {}),
    columns: () => stderr.columns || DEFAULT_COLUMNS,
    style: coloured ? colouredStyle : plainStyle,
  };
}

function writerOf(stream: WriteStream | NodeJS.WriteStream): (text: string) => void {
  let broken = false;
  stream.on('error', () => {
    broken = true;
  });
  return (text) => {
    if (!broken) stream.write(text);
  };
}

function sgr(on: number, off: number): (text: string) => string {
  return (text) => `\x1b[${on}m${text}\x1b[${off}m`;
}
