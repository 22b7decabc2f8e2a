/** The report page: what a conversion did, how well, how long it took, and what can be done with the result. */
import type { RpcClient } from '../../rpc/client';
import { formatBytes, formatInteger, formatPercent, formatSeconds } from '../../base/format';
import { element } from '../dom';
import { icon } from '../icons';
import { makePlot } from '../plot';
import type { ReportApi, ReportCommand, ReportView } from '../protocol/reportApi';
import { button } from '../ui';
import { makeVerification } from './verification';

const AXIS = 'tensors, in the order of the file →';
const WHY_LARGER =
  'The error of the weights may be larger than that of nearest rounding: learned rounding arranges the errors so that they cancel in the output of the ' +
  'layer. That is what the objective measures, and what counts.';

export function makeReportPage(report: ReportView, host: RpcClient<ReportApi>): HTMLElement {
  const verification = makeVerification(host);
  const command = (label: string, name: ReportCommand, appearance: 'primary' | 'secondary' = 'secondary'): HTMLElement =>
    button({ label, appearance, onPress: () => void host.request('reportCommand', name) });
  return element('main', { class: 'report' }, [
    element('header', { class: 'report-head' }, [
      element('h1', { text: report.fileName, title: report.output }),
      headline(report),
      element('div', { class: 'report-buttons' }, [
        command('Open', 'open', 'primary'),
        command('Reveal', 'reveal'),
        button({
          label: 'Verify',
          appearance: 'secondary',
          title: 'Compare it with its source, tensor by tensor',
          onPress: () => verification.start(),
        }),
        command('Compare', 'compare'),
        command('Save as JSON…', 'saveJson'),
        command('Save as Markdown…', 'saveMarkdown'),
      ]),
    ]),
    verification.root,
    ...sentences('Warnings', report.warnings, 'warning'),
    ...plots(report),
    element('div', { class: 'report-columns' }, [section('Time', [phases(report)]), section('Conversion', [facts(report)])]),
    ...worst(report),
    ...others(report),
    ...sentences('Notes', report.notes, 'plain'),
  ]);
}

export function makeMissingReport(): HTMLElement {
  return element('main', { class: 'report' }, [
    element('h1', { text: 'This report is no longer kept' }),
    element('p', { text: 'Convert the model again to get a new one.' }),
  ]);
}

function headline({ bytesIn, bytesOut, relativeError, objectiveRatio, seconds }: ReportView): HTMLElement {
  const saved = bytesIn > 0 ? 1 - bytesOut / bytesIn : 0;
  return element('dl', { class: 'report-headline' }, [
    figure(
      'Size',
      `${formatBytes(bytesIn)} → ${formatBytes(bytesOut)}`,
      saved >= 0 ? `${formatPercent(saved)} smaller` : `${formatPercent(-saved)} larger`,
    ),
    ...(objectiveRatio === undefined ? [] : [figure('Objective', formatPercent(objectiveRatio), 'of nearest rounding')]),
    figure('Error', formatPercent(relativeError), 'of the quantized weights’ norm'),
    figure('Time', formatSeconds(seconds), ''),
  ]);
}

function figure(label: string, value: string, detail: string): HTMLElement {
  return element('div', {}, [
    element('dt', { class: 'dim', text: label }),
    element('dd', {}, [element('strong', { text: value }), element('span', { class: 'dim', text: detail })]),
  ]);
}

function plots({ tensors }: ReportView): readonly HTMLElement[] {
  if (tensors.length === 0) return [];
  const error = makePlot();
  error.show(
    tensors.map(({ name, relativeError }) => ({ name, value: relativeError })),
    { title: 'Error of each weight', axis: AXIS },
  );
  const weighed = tensors.flatMap(({ name, outputError, outputErrorNearest }) =>
    outputError === undefined || outputErrorNearest === undefined ? [] : [{ name, value: outputError, nearest: outputErrorNearest }],
  );
  const shares = tensors.flatMap(({ name, objectiveShare }) => (objectiveShare === undefined ? [] : [{ name, value: objectiveShare }]));
  if (shares.length === 0) return [element('div', { class: 'report-plots' }, [error.root])];
  const objective = makePlot();
  objective.show(shares, { title: 'Objective, learned', axis: AXIS, reference: { value: 1, label: 'nearest' } });
  const output = makePlot();
  output.show(weighed, {
    title: 'Error in the output of each layer',
    axis: AXIS,
    second: { values: weighed.map(({ nearest }) => nearest), label: 'nearest', firstLabel: 'as written' },
  });
  return [
    element('div', { class: 'report-plots' }, [...(weighed.length === 0 ? [] : [output.root]), objective.root, error.root]),
    element('p', { class: 'dim', text: WHY_LARGER }),
  ];
}

function phases({ phases: all, seconds }: ReportView): HTMLElement {
  const rows = all.map(({ label, seconds: own }) => {
    const bar = element('span', { class: 'phase-bar' });
    bar.style.width = `${seconds > 0 ? Math.min(100, (own / seconds) * 100) : 0}%`;
    return row([label, element('span', { class: 'phase-track', aria: { hidden: 'true' } }, [bar]), shortTime(own)]);
  });
  return table(['Phase', 'Share', 'Time'], rows);
}

function facts(report: ReportView): HTMLElement {
  return element(
    'dl',
    { class: 'report-facts' },
    report.facts.flatMap(({ label, value }) => [element('dt', { class: 'dim', text: label }), element('dd', { text: value })]),
  );
}

function worst({ tensors, worst: listed }: ReportView): readonly HTMLElement[] {
  if (listed.length === 0) return [];
  const weighed = listed.some(({ outputError }) => outputError !== undefined);
  const rows = listed.map(({ name, shape, relativeError, outputError, objectiveShare, sweeps, seconds }) =>
    row([
      element('span', { class: 'report-name', text: name }),
      shape,
      ...(weighed ? [outputError === undefined ? '–' : formatPercent(outputError)] : []),
      formatPercent(relativeError),
      objectiveShare === undefined ? '–' : formatPercent(objectiveShare),
      sweeps === undefined ? '–' : formatInteger(sweeps),
      shortTime(seconds),
    ]),
  );
  const all = formatInteger(tensors.length);
  const title = tensors.length > listed.length ? `Largest errors, ${listed.length} of ${all} tensors` : 'Quantized tensors';
  const errors = weighed ? ['Output error', 'Weight error'] : ['Weight error'];
  return [section(title, [table(['Tensor', 'Shape', ...errors, 'Objective', 'Sweeps', 'Time'], rows)])];
}

function others({ others: groups }: ReportView): readonly HTMLElement[] {
  if (groups.length === 0) return [];
  const rows = groups.map(({ action, reason, tensors, bytes }) =>
    row([`${action === 'keep' ? 'Kept' : 'Removed'}: ${reason}`, formatInteger(tensors), formatBytes(bytes)]),
  );
  return [section('Kept and removed tensors', [table(['Why', 'Tensors', 'Size'], rows)])];
}

function sentences(title: string, all: readonly string[], kind: 'warning' | 'plain'): readonly HTMLElement[] {
  if (all.length === 0) return [];
  const items = all.map((text) => element('li', {}, [...(kind === 'warning' ? [icon('warning')] : []), element('span', { text })]));
  return [section(title, [element('ul', { class: `report-sentences report-${kind}` }, items)])];
}

/** Tensors and phases may take a few milliseconds. */
function shortTime(seconds: number): string {
  return seconds < 0.1 ? `${formatInteger(seconds * 1000)} ms` : formatSeconds(seconds);
}

function section(title: string, children: readonly HTMLElement[]): HTMLElement {
  return element('section', {}, [element('h2', { text: title }), ...children]);
}

function table(titles: readonly string[], rows: readonly HTMLElement[]): HTMLElement {
  const head = element(
    'tr',
    {},
    titles.map((title) => {
      const cell = element('th', { text: title });
      cell.scope = 'col';
      return cell;
    }),
  );
  return element('div', { class: 'report-table' }, [element('table', {}, [element('thead', {}, [head]), element('tbody', {}, rows)])]);
}

function row(cells: readonly (string | HTMLElement)[]): HTMLElement {
  return element(
    'tr',
    {},
    cells.map((cell) => element('td', {}, [cell])),
  );
}
