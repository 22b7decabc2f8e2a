/** markdownReport: a job's report as a Markdown document. Pure. */
import { basename } from 'node:path';
import { formatBytes, formatInteger, formatPercent, formatQuantity, formatSeconds, formatShape } from '../../base/format';
import { modelSeenText } from '../../engine/families/modelSeen';
import { outputErrorOf, worstFirst } from '../../engine/job/outputError';
import type { JobReport, TensorReport } from '../../engine/job/report';
import { steeringGroups, steeringText } from '../../engine/plan/steering';
import { conversionFacts } from './conversionFacts';
import { escapeMarkdown, inlineCode, table, unbroken } from './markdown';

const WORST_TENSORS = 10;
const LEGEND =
  '*Output error*: √objective ÷ ‖W‖, the error as it reaches what the layer puts out. *Weight error*: size of the rounding error relative to the weights. ' +
  '*Objective*: what is minimised, as a share of what nearest rounding reaches. ' +
  'Learned rounding may have the larger weight error: it arranges the errors so that they cancel in what the layer puts out, and that is what the objective measures.';

export function markdownReport(report: JobReport): string {
  const quantized = report.tensors.filter(({ action }) => action === 'quantize');
  const sections = [
    `# ${escapeMarkdown(basename(report.output))}`,
    headline(report),
    overview(report),
    ...(report.warnings.length > 0 ? ['## Warnings', list(report.warnings)] : []),
    ...steering(quantized),
    ...(quantized.length > WORST_TENSORS
      ? ['## Largest errors', quantizedTable(worstFirst(quantized).slice(0, WORST_TENSORS)), LEGEND]
      : []),
    ...(quantized.length > 0 ? ['## Quantized tensors', quantizedTable(quantized), LEGEND] : []),
    ...others(report.tensors),
    '## Time',
    timeTable(report),
    ...(report.notes.length > 0 ? ['## Notes', list(report.notes)] : []),
    `Made by ${escapeMarkdown(report.tool.name)} ${escapeMarkdown(report.tool.version)}.`,
  ];
  return `${sections.join('\n\n')}\n`;
}

/** Which statistics steered learned rounding. */
function steering(quantized: readonly TensorReport[]): readonly string[] {
  const groups = steeringGroups(quantized.map(({ statistics }) => statistics));
  if (groups.length === 0) return [];
  return ['## What steered rounding', list(groups.map(steeringText))];
}

function headline({ summary }: JobReport): string {
  const saved = summary.bytesIn > 0 ? 1 - summary.bytesOut / summary.bytesIn : 0;
  const size = `**${formatBytes(summary.bytesIn)} → ${formatBytes(summary.bytesOut)}** (${formatPercent(saved)} smaller)`;
  const error = `relative error **${formatPercent(summary.relativeError)}**`;
  const objective =
    summary.objectiveRatio === undefined ? [] : [`objective **${formatPercent(summary.objectiveRatio)}** of nearest rounding`];
  return [size, error, ...objective, `in **${formatSeconds(summary.seconds.total)}**`].join(' · ');
}

function overview(report: JobReport): string {
  const { source, output, model, summary } = report;
  const { counts } = summary;
  const actions = [`${formatInteger(counts.quantize)} quantized`, `${formatInteger(counts.keep)} kept`];
  if (counts.remove > 0) actions.push(`${formatInteger(counts.remove)} removed`);
  return table(
    [{ title: '' }, { title: '' }],
    [
      ['Source', inlineCode(source)],
      ['Output', inlineCode(output)],
      ['Model', escapeMarkdown(modelSeenText(model, 'every reason'))],
      ['Tensors', actions.join(', ')],
      ...conversionFacts(report).map(({ label, value }) => [label, escapeMarkdown(value)]),
      ['Device', escapeMarkdown(`${summary.deviceName} (${summary.device}), ${formatQuantity(summary.threads, 'thread')}`)],
      ['Peak memory', formatBytes(summary.peakMemoryBytes)],
    ],
  );
}

function timeTable({ summary: { seconds } }: JobReport): string {
  return table(
    [{ title: 'Phase' }, { title: 'Time', align: 'end' }],
    [
      ['Plan', formatSeconds(seconds.plan)],
      ...(seconds.statistics === undefined ? [] : [['Statistics', formatSeconds(seconds.statistics)]]),
      ['Convert', formatSeconds(seconds.convert)],
      ['Finish (flush and rename)', formatSeconds(seconds.finish)],
      ['**Total**', `**${formatSeconds(seconds.total)}**`],
    ],
  );
}

function quantizedTable(tensors: readonly TensorReport[]): string {
  return table(
    [
      { title: 'Tensor' },
      { title: 'Shape', align: 'end' },
      { title: 'Size', align: 'end' },
      { title: 'Output error', align: 'end' },
      { title: 'Weight error', align: 'end' },
      { title: 'Objective', align: 'end' },
      { title: 'Steered by' },
      { title: 'Sweeps', align: 'end' },
      { title: 'Time', align: 'end' },
    ],
    tensors.map((tensor) => [
      inlineCode(tensor.name),
      unbroken(formatShape(tensor.shape)),
      unbroken(formatBytes(tensor.bytesOut)),
      outputError(tensor),
      tensor.relativeError === undefined ? '' : unbroken(formatPercent(tensor.relativeError)),
      objectiveShare(tensor),
      tensor.statistics === undefined ? '' : steeredBy(tensor.statistics),
      tensor.sweeps === undefined ? '' : formatInteger(tensor.sweeps),
      unbroken(formatSeconds(tensor.seconds)),
    ]),
  );
}

function outputError(tensor: TensorReport): string {
  const error = outputErrorOf(tensor);
  return error === undefined ? '' : unbroken(formatPercent(error.written));
}

/** Inputs × outputs. */
function steeredBy({ inputs, outputs }: NonNullable<TensorReport['statistics']>): string {
  return unbroken(outputs === 'none' ? inputs : `${inputs} × ${outputs}`);
}

function objectiveShare({ objective, objectiveNearest, keptNearest }: TensorReport): string {
  if (objective === undefined || objectiveNearest === undefined || objectiveNearest === 0) return '';
  return keptNearest === true ? '100 % (nearest kept)' : unbroken(formatPercent(objective / objectiveNearest));
}

/** What was kept or removed, grouped by reason. */
function others(tensors: readonly TensorReport[]): readonly string[] {
  const groups = new Map<string, TensorReport[]>();
  for (const tensor of tensors) {
    if (tensor.action === 'quantize') continue;
    const key = `${tensor.action === 'keep' ? 'Kept' : 'Removed'}\n${tensor.reason}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [tensor]);
    else group.push(tensor);
  }
  if (groups.size === 0) return [];
  const rows = [...groups].map(([key, group]) => {
    const [action = '', reason = ''] = key.split('\n');
    const bytes = group.reduce((sum, tensor) => sum + tensor.bytesIn, 0);
    return [action, escapeMarkdown(reason), formatInteger(group.length), formatBytes(bytes)];
  });
  return [
    '## Kept and removed tensors',
    table([{ title: 'Action' }, { title: 'Reason' }, { title: 'Tensors', align: 'end' }, { title: 'Size', align: 'end' }], rows),
  ];
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${escapeMarkdown(item)}`).join('\n');
}
