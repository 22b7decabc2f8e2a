/** reportText: what a job did, for people. Pure. */
import { formatBytes, formatInteger, formatQuantity, formatSeconds } from '../../base/format';
import { outputErrorOf, worstFirst } from '../../engine/job/outputError';
import type { JobReport, TensorReport } from '../../engine/job/report';
import { steeringGroups } from '../../engine/plan/steering';
import { kindOfReason, percentOf, steeringLines } from './planText';
import { commandWords } from './commandWords';
import { printable, table } from './text';
import type { Style } from './terminal';

const WORST_TENSORS = 5;

export function reportText(report: JobReport, reportPath: string | undefined, detail: 'summary' | 'every tensor', style: Style): string {
  const { summary, tensors, notes, output } = report;
  const quantized = tensors.filter(({ action }) => action === 'quantize');
  const { seconds } = summary;
  return [
    `${style.good('Done')} in ${formatSeconds(seconds.total)}: ${printable(output)}`,
    `  size     ${formatBytes(summary.bytesIn)} → ${formatBytes(summary.bytesOut)} (${percentOf(summary.bytesOut, summary.bytesIn)})`,
    ...errorLines(report, quantized),
    ...objectiveLines(report, quantized),
    `  time     plan ${formatSeconds(seconds.plan)}${seconds.statistics === undefined ? '' : `, statistics ${formatSeconds(seconds.statistics)}`}, convert ${formatSeconds(seconds.convert)}, finish ${formatSeconds(seconds.finish)}`,
    `           over tensors: read ${formatSeconds(seconds.read)}, compute ${formatSeconds(seconds.compute)}, write ${formatSeconds(seconds.write)}, copy ${formatSeconds(seconds.copy)}`,
    `  device   ${deviceText(report)}`,
    `  memory   ${memoryText(report)}`,
    `  tensors  ${tensorsText(tensors)}`,
    ...errorTable(report, quantized, detail, style),
    ...notes.map((note) => `${style.dim('note:')} ${printable(commandWords(note))}`),
    ...(reportPath === undefined ? [] : [`report: ${printable(reportPath)}`]),
  ].join('\n');
}

/** Where nothing was rounded there is no error. */
function errorLines({ summary }: JobReport, quantized: readonly TensorReport[]): readonly string[] {
  if (quantized.length === 0) return [];
  return [
    `  error    ${errorPercent(summary.relativeError)} of the weights' norm, over ${formatQuantity(quantized.length, 'quantized tensor')}`,
  ];
}

function errorTable(
  report: JobReport,
  quantized: readonly TensorReport[],
  detail: 'summary' | 'every tensor',
  style: Style,
): readonly string[] {
  if (quantized.length === 0) return [];
  if (detail === 'every tensor') return ['', ...tensorTable('tensor', quantized, report, style)];
  return ['', ...tensorTable('largest errors', worstFirst(quantized).slice(0, WORST_TENSORS), report, style)];
}

/** The objective is what rounding minimises: how far the layers' outputs move. */
function objectiveLines({ summary, recipe }: JobReport, quantized: readonly TensorReport[]): readonly string[] {
  if (summary.objectiveRatio === undefined) return [];
  const learned = sum(quantized, 'objectiveLearned') / sum(quantized, 'objectiveNearest');
  return [
    `  ${recipe.rounding.padEnd(7)}  objective ${summary.objectiveRatio.toFixed(3)} × that of nearest rounding (less is closer)`,
    ...steeringLines(steeringGroups(quantized.map(({ statistics }) => statistics)), 9),
    ...(recipe.rounding === 'tpec' ? [`  learned  would reach ${learned.toFixed(3)} ×`] : []),
  ];
}

function sum(tensors: readonly TensorReport[], field: 'objectiveLearned' | 'objectiveNearest'): number {
  return tensors.reduce((total, tensor) => total + (tensor[field] ?? 0), 0);
}

function deviceText({ summary: { device, deviceName, threads } }: JobReport): string {
  return device === 'cpu' ? `cpu (${deviceName}), ${formatQuantity(threads, 'thread')}` : `${device} (${deviceName})`;
}

function memoryText({ summary: { peakMemoryBytes, peakDeviceMemoryBytes } }: JobReport): string {
  const device = peakDeviceMemoryBytes === undefined ? '' : `, ${formatBytes(peakDeviceMemoryBytes)} on the device`;
  return `at most ${formatBytes(peakMemoryBytes)}${device}`;
}

type Word = 'quantized' | 'dequantized' | 'migrated' | 'kept' | 'removed';

const WORDS: readonly Word[] = ['quantized', 'dequantized', 'migrated', 'kept', 'removed'];

/** Codes that were written in another form are no tensors that were kept. */
function wordOf({ action, reason }: TensorReport): Word {
  switch (action) {
    case 'quantize':
      return 'quantized';
    case 'remove':
      return 'removed';
    case 'keep': {
      const kind = kindOfReason(reason);
      if (kind === 'Dequantized') return 'dequantized';
      return kind === 'Migrated' ? 'migrated' : 'kept';
    }
  }
}

/** `35 quantized; 11 kept: 10 Norm, 1 Embedding`. */
function tensorsText(tensors: readonly TensorReport[]): string {
  const parts = WORDS.flatMap((word) => {
    const some = tensors.filter((tensor) => wordOf(tensor) === word);
    if (some.length === 0) return [];
    const count = `${formatInteger(some.length)} ${word}`;
    return word === 'kept' || word === 'removed' ? [`${count}${kindsText(some)}`] : [count];
  });
  return parts.length === 0 ? 'none' : parts.join('; ');
}

function kindsText(tensors: readonly TensorReport[]): string {
  const kinds = new Map<string, number>();
  for (const { reason } of tensors) kinds.set(kindOfReason(reason), (kinds.get(kindOfReason(reason)) ?? 0) + 1);
  if (kinds.size === 1 && kinds.has('As it is')) return '';
  const list = [...kinds].sort((a, b) => b[1] - a[1]).map(([kind, count]) => `${formatInteger(count)} ${printable(kind)}`);
  return `: ${list.join(', ')}`;
}

function tensorTable(title: string, tensors: readonly TensorReport[], { recipe }: JobReport, style: Style): readonly string[] {
  const errors = tensors.map((tensor) => outputErrorOf(tensor)?.written);
  const weighed = errors.some((error) => error !== undefined);
  const rows = tensors.map(({ name, relativeError, objective, objectiveNearest, sweeps, seconds }, index) => [
    printable(name),
    ...(weighed ? [errors[index] === undefined ? '–' : errorPercent(errors[index])] : []),
    errorPercent(relativeError ?? 0),
    objective === undefined || !objectiveNearest ? '–' : (objective / objectiveNearest).toFixed(3),
    sweeps === undefined ? '–' : formatInteger(sweeps),
    `${seconds.toFixed(2)} s`,
  ]);
  return table(
    [
      { title, align: 'left' },
      ...(weighed ? [{ title: 'output error', align: 'right' } as const] : []),
      { title: weighed ? 'weight error' : 'error', align: 'right' },
      { title: '÷ nearest', align: 'right' },
      { title: recipe.rounding === 'tpec' ? 'steps' : 'sweeps', align: 'right' },
      { title: 'time', align: 'right' },
    ],
    rows,
    style.dim,
  );
}

/** Two decimals: errors of FP8 differ in the second one. */
export function errorPercent(error: number): string {
  return `${(error * 100).toFixed(2)} %`;
}
