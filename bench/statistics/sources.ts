/** The sources of statistics that are timed: what each needs beside the model, and the options by which `fp8 convert` takes it. Pure. */
import type { Recorded } from './calibrationFile';

export type CalibrationNeed = ({ readonly kind: 'samples' } & Recorded) | { readonly kind: 'diagonals' };

export interface TimedSource {
  readonly name: string;
  readonly sides: 'input' | 'both';
  readonly statistics: 'gram' | 'propagated' | 'calibrated';
  readonly calibration?: CalibrationNeed;
}

/** The first is what the others are compared with. */
export const SOURCES: readonly TimedSource[] = [
  { name: 'gram', sides: 'input', statistics: 'gram' },
  { name: 'gram, both sides', sides: 'both', statistics: 'gram' },
  { name: 'propagated', sides: 'input', statistics: 'propagated' },
  { name: 'propagated, both sides', sides: 'both', statistics: 'propagated' },
  ...[512, 3072, 8192].map((inputs): TimedSource => recorded(`${inputs.toLocaleString('en-US')} samples`, 'input', { inputs })),
  recorded('3,072 samples, gram outputs', 'both', { inputs: 3072 }),
  recorded('3,072 samples, 3,072 output gradients', 'both', { inputs: 3072, gradients: 3072 }),
  { name: 'importance matrix', sides: 'input', statistics: 'calibrated', calibration: { kind: 'diagonals' } },
];

function recorded(name: string, sides: TimedSource['sides'], record: Recorded): TimedSource {
  return { name, sides, statistics: 'calibrated', calibration: { kind: 'samples', ...record } };
}

/** Files that several sources need are written once. */
export function fileNameOf(need: CalibrationNeed): string {
  return need.kind === 'diagonals' ? 'diagonals.safetensors' : `${need.inputs}-${need.gradients ?? 0}.safetensors`;
}

export function convertOptions({ statistics, sides }: TimedSource, calibrationPath: string | undefined): readonly string[] {
  return [
    '--rounding',
    'learned',
    '--statistics',
    statistics,
    '--sides',
    sides,
    ...(calibrationPath === undefined ? [] : ['--calibration', calibrationPath]),
  ];
}
