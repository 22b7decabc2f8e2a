/** The command line of the quality benchmark. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { DEFAULT_VARIANTS, parseVariant, type Variant } from './variants';

export interface Options {
  /** Evaluation rows to measure on; absent: all. */
  readonly rows?: number;
  readonly threads: number;
  readonly device: string;
  readonly variants: readonly Variant[];
  /** Where the figures go as JSON. */
  readonly json?: string;
  readonly help: boolean;
}

export const USAGE = `Converts the sample model with each variant and runs it: how far do its predictions move from the original's?

  node bench/run.mjs quality [--rows N] [--threads N] [--device NAME] [--variant 'NAME=CONVERT OPTIONS']… [--json FILE]

  --rows N      measure on the first N evaluation rows instead of all (about 0.3 s a row, variant and core)
  --threads N   threads that run the model (default: all cores)
  --device D    where fp8 converts (default: cpu)
  --variant V   one more line of the table, e.g. --variant 'one sweep=--rounding learned --num_iter 1'
  --json FILE   writes every figure, per row and per tensor
`;

/** Throws with one line where the arguments make no sense. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      device: { type: 'string', default: 'cpu' },
      variant: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    ...(values.rows === undefined ? {} : { rows: positiveInteger('--rows', values.rows) }),
    threads: positiveInteger('--threads', values.threads),
    device: values.device,
    variants: [...DEFAULT_VARIANTS, ...values.variant.map(parseVariant)],
    ...(values.json === undefined ? {} : { json: values.json }),
    help: values.help,
  };
}

function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${option} takes a whole number from 1; got "${text}".`);
  return value;
}
