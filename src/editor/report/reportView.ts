/** reportView: a job's report as the report page shows it. Pure. */
import { basename } from 'node:path';
import { formatBytes, formatInteger, formatShape } from '../../base/format';
import type { JobReport, TensorReport } from '../../engine/job/report';
import { steeringGroups, steeringText } from '../../engine/plan/steering';
import type { ReportGroup, ReportTensor, ReportView } from '../../webview/protocol/reportApi';
import { conversionFacts } from './conversionFacts';

export function reportView(id: string, report: JobReport): ReportView {
  const { summary, source, output, tool } = report;
  const { counts, seconds } = summary;
  const actions = [`${formatInteger(counts.quantize)} quantized`, `${formatInteger(counts.keep)} kept`];
  if (counts.remove > 0) actions.push(`${formatInteger(counts.remove)} removed`);
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
      { label: 'Device', value: `${summary.deviceName} (${summary.device}), ${formatInteger(summary.threads)} threads` },
      { label: 'Peak memory', value: formatBytes(summary.peakMemoryBytes) },
      { label: 'Made by', value: `${tool.name} ${tool.version}` },
    ],
    phases: [
      { label: 'Plan', seconds: seconds.plan },
      ...(seconds.statistics === undefined ? [] : [{ label: 'Statistics', seconds: seconds.statistics }]),
      { label: 'Convert', seconds: seconds.convert },
      { label: 'Flush and rename', seconds: seconds.finish },
    ],
    tensors: report.tensors.filter(({ action }) => action === 'quantize').map(reportTensor),
    others: groups(report.tensors),
    warnings: report.warnings,
    notes: report.notes,
  };
}

function reportTensor({
  name,
  shape,
  relativeError,
  squaredSource,
  objective,
  objectiveNearest,
  sweeps,
  seconds,
}: TensorReport): ReportTensor {
  const hasShare = objective !== undefined && objectiveNearest !== undefined && objectiveNearest > 0;
  return {
    name,
    shape: formatShape(shape),
    relativeError: relativeError ?? 0,
    ...(hasShare ? { objectiveShare: objective / objectiveNearest } : undefined),
    ...(hasShare && squaredSource !== undefined && squaredSource > 0
      ? { outputError: Math.sqrt(objective / squaredSource), outputErrorNearest: Math.sqrt(objectiveNearest / squaredSource) }
      : undefined),
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
