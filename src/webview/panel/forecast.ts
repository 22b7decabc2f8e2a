/** What Convert would come to: sizes, time, memory, disk and warnings. */
import { formatBytes, formatInteger, formatPercent, formatSeconds } from '../../base/format';
import { element } from '../dom';
import { icon } from '../icons';
import type { ForecastView, Notice, PanelView } from '../protocol/panelApi';
import type { ActionName } from '../protocol/views';

const ACTIONS: readonly ActionName[] = ['quantize', 'keep', 'remove'];

/** `remediesOf` are the ways out of a notice. */
export function makeForecast(
  { forecast, warnings, problem, outputProblem }: PanelView,
  remediesOf: (notice: Notice) => HTMLElement,
): readonly HTMLElement[] {
  const told = (kind: 'warning' | 'error', notice: Notice): readonly HTMLElement[] => [note(kind, notice.text), remediesOf(notice)];
  const notices = [
    ...(outputProblem === undefined ? [] : told('error', outputProblem)),
    ...warnings.flatMap((warning) => told('warning', warning)),
  ];
  // What another recipe would come to is none of it.
  if (problem !== undefined) return [...told('error', problem), ...notices];
  const { bytesIn, bytesOut } = forecast;
  const saved = bytesIn > 0 ? 1 - bytesOut / bytesIn : 0;
  return [
    element('p', { class: 'forecast-size' }, [
      formatBytes(bytesIn),
      icon('arrowRight'),
      element('span', { class: 'visually-hidden', text: ' to ' }),
      element('strong', { text: formatBytes(bytesOut) }),
      element('span', { class: 'dim', text: saved >= 0 ? `${formatPercent(saved)} smaller` : `${formatPercent(-saved)} larger` }),
    ]),
    actionBar(forecast),
    element('dl', { class: 'forecast-facts' }, facts(forecast)),
    ...notices,
  ];
}

function actionBar({ actions, becomes }: ForecastView): HTMLElement {
  const shown = ACTIONS.filter((action) => actions[action].tensors > 0);
  const total = shown.reduce((sum, action) => sum + actions[action].bytes, 0);
  const bar = element(
    'div',
    { class: 'action-bar', aria: { hidden: 'true' } },
    shown
      .filter((action) => actions[action].bytes > 0)
      .map((action) => {
        const segment = element('span', { class: 'segment' });
        segment.dataset['action'] = action;
        segment.style.flexGrow = String(actions[action].bytes / total);
        return segment;
      }),
  );
  const legend = element(
    'ul',
    { class: 'action-legend', aria: { label: 'Output by action' } },
    shown.map((action) => {
      const { tensors, bytes } = actions[action];
      const item = element('li', {}, [
        element('span', { class: 'mark', aria: { hidden: 'true' } }),
        element('span', { text: `${labelOf(action, becomes)} ${formatInteger(tensors)}` }),
        ...(action === 'remove' ? [] : [element('span', { class: 'dim', text: formatBytes(bytes) })]),
      ]);
      item.dataset['action'] = action;
      return item;
    }),
  );
  return element('div', {}, [bar, legend]);
}

function labelOf(action: ActionName, becomes: string): string {
  switch (action) {
    case 'quantize':
      return becomes;
    case 'keep':
      return 'Kept';
    case 'remove':
      return 'Removed';
  }
}

function facts({ seconds, basis, memoryBytes, freeBytes, bytesOut }: ForecastView): readonly HTMLElement[] {
  const why =
    basis === 'measured'
      ? 'From the last conversion on this device.'
      : 'Nothing was measured on this device yet: a guess on the slow side.';
  return [
    fact('Time', `about ${formatSeconds(seconds)}${basis === 'measured' ? '' : ' (a guess)'}`, why),
    fact('Memory', `about ${formatBytes(memoryBytes)}`, why),
    ...(freeBytes === undefined
      ? []
      : [
          fact(
            'Disk',
            bytesOut > freeBytes ? `${formatBytes(freeBytes)} free: too little` : `${formatBytes(freeBytes - bytesOut)} left after it`,
          ),
        ]),
  ];
}

function fact(label: string, value: string, title?: string): HTMLElement {
  return element('div', title === undefined ? {} : { title }, [
    element('dt', { class: 'dim', text: label }),
    element('dd', { text: value }),
  ]);
}

function note(kind: 'warning' | 'error', text: string): HTMLElement {
  return element('p', { class: `forecast-note forecast-${kind}` }, [icon(kind), element('span', { text })]);
}
