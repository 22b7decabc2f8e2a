/** reportView: a job's report as the report page shows it. Pure. */
import { basename } from 'node:path';
import { formatBytes, formatInteger, formatQuantity, formatShape } from '../../base/format';
import { outputErrorOf, worstFirst } from '../../engine/job/outputError';
import type { JobReport, TensorReport } from '../../engine/job/report';
import { steeringGroups, steeringText } from '../../engine/plan/steering';
import type { ReportGroup, ReportTensor, ReportView } from '../../webview/protocol/reportApi';
import { conversionFacts } from './conversionFacts';

const WORST_TENSORS = 10;

export function reportView(id: string, report: JobReport): ReportView {
  const { summary, source, output, tool } = report;
  const { counts, seconds } = summary;
  const actions = [`${formatInteger(counts.quantize)} quantized`, `${formatInteger(counts.keep)} kept`];
  if (counts.remove > 0) actions.push(`${formatInteger(counts.remove)} removed`);
  const quantized = report.tensors.filter(({ action }) => action === 'quantize');
  const steered = steeringGroups(report.tensors.map(({ statistics }) => statistics));
  return {
    id,
    fileName: basename(output),
    source,
    output,
    bytesIn: summary.bytesIn,
    bytesOut: summary.bytesOut,
    relativeError: summary.relativeError,
    ...(summary.objectiveRatio === undefined ? undefined : { objectiveRatio: summary.objectiveRatio }),
    seconds: seconds.total,
    facts: [
      { label: 'Source', value: source },
      { label: 'Output', value: output },
      { label: 'Tensors', value: actions.join(', ') },
      ...conversionFacts(report),
      ...(steered.length === 0 ? [] : [{ label: 'Steered by', value: steered.map(steeringText).join(' ') }]),
      { label: 'Device', value: `${summary.deviceName} (${summary.device}), ${formatQuantity(summary.threads, 'thread')}` },
      { label: 'Peak memory', value: formatBytes(summary.peakMemoryBytes) },
      { label: 'Made by', value: `${tool.name} ${tool.version}` },
    ],
    phases: [
      { label: 'Plan', seconds: seconds.plan },
      ...(seconds.statistics === undefined ? [] : [{ label: 'Statistics', seconds: seconds.statistics }]),
      { label: 'Convert', seconds: seconds.convert },
      { label: 'Flush and rename', seconds: seconds.finish },
    ],
    tensors: quantized.map(reportTensor),
    worst: worstFirst(quantized).slice(0, WORST_TENSORS).map(reportTensor),
    others: groups(report.tensors),
    warnings: report.warnings,
    notes: report.notes,
  };
}

function reportTensor(tensor: TensorReport): ReportTensor {
  const { name, shape, relativeError, objective, objectiveNearest, sweeps, seconds } = tensor;
  const outputError = outputErrorOf(tensor);
  const hasShare = objective !== undefined && objectiveNearest !== undefined && objectiveNearest > 0;
  return {
    name,
    shape: formatShape(shape),
    relativeError: relativeError ?? 0,
    ...(hasShare ? { objectiveShare: objective / objectiveNearest } : undefined),
    ...(outputError === undefined ? undefined : { outputError: outputError.written, outputErrorNearest: outputError.nearest }),
    ...(sweeps === undefined ? undefined : { sweeps }),
    seconds,
  };
}

function groups(tensors: readonly TensorReport[]): readonly ReportGroup[] {
  const found = new Map<string, { action: ReportGroup['action']; reason: string; tensors: number; bytes: number }>();
  for (const { action, reason, bytesIn } of tensors) {
    if (action === 'quantize') continue;
    const key = `${action} ${reason}`;
    const group = found.get(key) ?? { action, reason, tensors: 0, bytes: 0 };
    group.tensors += 1;
    group.bytes += bytesIn;
    found.set(key, group);
  }
  return [...found.values()].sort((a, b) => b.bytes - a.bytes);
}
