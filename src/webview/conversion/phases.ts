/** What the conversion strip holds in each phase of a conversion. */
import {
  formatBytes,
  formatInteger,
  formatPercent,
  formatProgress,
  formatSeconds,
  formatThroughput,
  formatTimeLeft,
} from '../../base/format';
import { element, setText } from '../dom';
import { icon } from '../icons';
import type { Intent } from '../protocol/editorApi';
import type { ConversionView, OutputView, ProgressView } from '../protocol/views';
import { makeToggle } from '../panel/toggle';
import { button } from '../ui';

type Phase<Name extends ConversionView['phase']> = Extract<ConversionView, { readonly phase: Name }>;

export interface StripEvents {
  onConvert(): void;
  onCancel(): void;
  onIntent(intent: Intent): void;
}

export interface Proposal {
  readonly output: OutputView;
  readonly sourceBytes: number;
  /** How many tensors would be quantized. */
  readonly tensors: number;
}

type Waiting = Phase<'idle' | 'cancelled' | 'interrupted'>;

export function ready({ output, sourceBytes, tensors }: Proposal, phase: Waiting, events: StripEvents): readonly Node[] {
  const convert = {
    label: phase.phase === 'interrupted' ? 'Convert Again' : `Convert to ${output.becomes}`,
    appearance: 'primary',
    onPress: () => events.onConvert(),
  } as const;
  const { problem } = output;
  if (problem !== undefined) {
    return [
      lines(
        [icon('error'), element('span', { class: 'strip-name', text: 'This cannot be converted as it is chosen' })],
        [
          element('span', { class: 'message strip-problem', text: problem }),
          element('span', { class: 'message strip-problem-place', text: 'The options say why, and what can be done.' }),
          ...reportLink(phase, events),
        ],
      ),
      buttons(makeToggle(), button({ ...convert, disabled: problem })),
    ];
  }
  const recipe = element('span', { class: 'dim', text: output.recipe, title: output.recipe });
  return [
    lines(
      [dim('Output'), element('span', { class: 'strip-name', text: output.fileName, title: `${output.directory}/${output.fileName}` })],
      [...before(phase), ...(tensors > 0 ? [sizes(sourceBytes, output.fileSize)] : []), recipe, ...reportLink(phase, events)],
    ),
    buttons(makeToggle(), button(tensors > 0 ? convert : { ...convert, disabled: 'There is nothing to quantize' })),
  ];
}

/** To what is known of an earlier conversion. */
function reportLink({ lastReport }: Pick<Waiting, 'lastReport'>, events: StripEvents): readonly HTMLElement[] {
  if (lastReport === undefined) return [];
  const link = element('button', { class: 'link', text: 'Last Report', title: `Of the conversion that ended ${lastReport}` });
  link.type = 'button';
  link.addEventListener('click', () => events.onIntent('showReport'));
  return [link];
}

/** How the last conversion ended, where it did not end well. */
function before(phase: Waiting): readonly HTMLElement[] {
  switch (phase.phase) {
    case 'idle':
      return [];
    case 'cancelled':
      return [element('span', { text: 'Cancelled: nothing was written' })];
    case 'interrupted': {
      const [left] = phase.leftBehind;
      return [
        element('span', {
          text: left === undefined ? 'Interrupted by a reload: nothing was written' : `Interrupted; left behind: ${left}`,
        }),
      ];
    }
  }
}

export interface RunningStrip {
  readonly nodes: readonly Node[];
  show(view: Phase<'running'>): void;
}

export function makeRunning(events: StripEvents): RunningStrip {
  const name = element('span', { class: 'strip-name' });
  const percent = element('span', { class: 'percent' });
  const numbers = element('span', { class: 'numbers' });
  const current = element('span', { class: 'dim current' });
  const fill = element('span', { class: 'fill' });
  const bar = element('div', { class: 'bar', role: 'progressbar', aria: { label: 'Conversion', valuemin: 0, valuemax: 100 } }, [fill]);
  return {
    nodes: [
      lines([percent, dim('Writing'), name], [numbers, current]),
      buttons(makeToggle(), button({ label: 'Cancel', appearance: 'secondary', onPress: () => events.onCancel() })),
      bar,
    ],
    show(view) {
      const { progress } = view;
      bar.classList.toggle('indeterminate', progress === undefined);
      setText(name, view.outputName);
      setText(percent, progress === undefined ? '' : formatProgress(progress.fraction));
      setText(numbers, progress === undefined ? 'Starting the engine' : progressNumbers(progress));
      setText(current, progress?.current.join(', ') ?? '');
      if (progress === undefined) bar.removeAttribute('aria-valuenow');
      else bar.setAttribute('aria-valuenow', String(Math.floor(progress.fraction * 100)));
      fill.style.transform = progress === undefined ? '' : `scaleX(${progress.fraction})`;
    },
  };
}

export function queued(view: Phase<'queued'>, events: StripEvents): readonly Node[] {
  return [
    lines(
      [dim('Output'), element('span', { class: 'strip-name', text: view.outputName })],
      [element('span', { class: 'dim', text: 'Waiting for another conversion to end' })],
    ),
    buttons(makeToggle(), button({ label: 'Cancel', appearance: 'secondary', onPress: () => events.onCancel() })),
  ];
}

export function ended(view: Phase<'done' | 'failed'>, events: StripEvents): readonly Node[] {
  const again = button({ label: 'Convert Again', appearance: 'secondary', onPress: () => events.onConvert() });
  switch (view.phase) {
    case 'done':
      return [
        lines(
          [icon('check'), dim('Converted to'), element('span', { class: 'strip-name', text: view.outputName })],
          [sizes(view.bytesIn, view.bytesOut), element('span', { class: 'dim result', text: quality(view) })],
        ),
        buttons(
          makeToggle(),
          button({ label: 'Open', appearance: 'primary', onPress: () => events.onIntent('openOutput') }),
          button({ label: 'Show Report', appearance: 'secondary', onPress: () => events.onIntent('showReport') }),
          again,
        ),
      ];
    case 'failed':
      return [
        lines(
          [icon('error'), element('span', { class: 'strip-name', text: 'Conversion failed' })],
          [element('span', { class: 'message', text: view.message }), ...reportLink(view, events)],
        ),
        buttons(makeToggle(), button({ label: 'Show Log', appearance: 'secondary', onPress: () => events.onIntent('showLog') }), again),
      ];
  }
}

function lines(first: readonly Node[], second: readonly Node[]): HTMLElement {
  return element('div', { class: 'strip-lines' }, [
    element('div', { class: 'strip-line' }, first),
    element('div', { class: 'strip-line second' }, second),
  ]);
}

function dim(text: string): HTMLElement {
  return element('span', { class: 'dim label', text });
}

function buttons(...all: readonly HTMLElement[]): HTMLElement {
  return element('div', { class: 'strip-buttons' }, all);
}

function sizes(before: number, after: number): HTMLElement {
  const saved = before > 0 ? 1 - after / before : 0;
  const change = saved >= 0 ? `${formatPercent(saved)} smaller` : `${formatPercent(-saved)} larger`;
  return element('span', { class: 'numbers' }, [
    formatBytes(before),
    icon('arrowRight'),
    element('span', { class: 'visually-hidden', text: ' to ' }),
    element('strong', { text: formatBytes(after) }),
    element('span', { class: 'change', text: change }),
  ]);
}

function progressNumbers(progress: ProgressView): string {
  const parts = [`${formatInteger(progress.tensorsDone)} of ${formatInteger(progress.tensorsTotal)} tensors`];
  if (progress.bytesPerSecond > 0) parts.push(formatThroughput(progress.bytesPerSecond));
  if (progress.remainingSeconds !== undefined) parts.push(formatTimeLeft(progress.remainingSeconds));
  return parts.join(' · ');
}

function quality(view: Phase<'done'>): string {
  const parts = [formatSeconds(view.seconds), `error ${formatPercent(view.relativeError)}`];
  if (view.objectiveRatio !== undefined) parts.push(`objective ${formatPercent(view.objectiveRatio)} of nearest`);
  return parts.join(' · ');
}
