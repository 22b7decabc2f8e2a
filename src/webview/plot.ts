/** A plot of one value for each tensor: dots above a line of reference, drawn as one path however many there are. */
import { formatPercent } from '../base/format';
import { element } from './dom';
import type { PlotPoint } from './protocol/panelApi';

export interface PlotOptions {
  /** What one dot is, e.g. `Objective, of nearest rounding`. */
  readonly title: string;
  /** A line to compare with, and its name. */
  readonly reference?: { readonly value: number; readonly label: string };
  /** Another value for each point, which `firstLabel` tells from the points' own. */
  readonly second?: { readonly values: readonly number[]; readonly label: string; readonly firstLabel: string };
  /** What goes from left to right, where the reader should know. */
  readonly axis?: string;
  /** How many points there will be; as many as there are unless told. */
  readonly expected?: number;
}

export interface Plot {
  readonly root: HTMLElement;
  show(points: readonly PlotPoint[], options: PlotOptions): void;
}

const WIDTH = 1000;
const HEIGHT = 240;
const SVG = 'http://www.w3.org/2000/svg';

export function makePlot(): Plot {
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', class: 'plot-picture' });
  const reference = svg('path', { class: 'plot-reference' });
  const dots = svg('path', { class: 'plot-dots' });
  const cursor = svg('path', { class: 'plot-cursor' });
  const others = svg('path', { class: 'plot-others' });
  picture.append(reference, others, dots, cursor);
  const title = element('span', { class: 'plot-title' });
  const reading = element('span', { class: 'plot-reading dim' });
  const top = element('span', { class: 'plot-top dim' });
  const referenceLabel = element('span', { class: 'plot-reference-label dim' });
  const legend = element('span', { class: 'plot-legend dim' });
  const axis = element('div', { class: 'plot-axis dim', aria: { hidden: 'true' } });
  const root = element('figure', { class: 'plot' }, [
    element('figcaption', {}, [title, legend, reading]),
    element('div', { class: 'plot-area' }, [picture, top, referenceLabel]),
    axis,
  ]);
  let shown: readonly PlotPoint[] = [];
  let second: PlotOptions['second'];
  let columns = 1;
  let most = 1;

  const x = (index: number): number => ((index + 0.5) / columns) * WIDTH;
  const y = (value: number): number => HEIGHT - (value / most) * HEIGHT;
  const dotsAt = (values: readonly number[]): string =>
    values.map((value, index) => `M${x(index).toFixed(1)} ${y(value).toFixed(1)}h0`).join('');
  picture.addEventListener('mousemove', (event) => {
    const box = picture.getBoundingClientRect();
    const index = Math.min(shown.length - 1, Math.floor(((event.clientX - box.left) / box.width) * columns));
    const point = shown[index];
    if (point === undefined) return;
    const beside = second === undefined ? '' : `, ${second.label} ${formatPercent(second.values[index] ?? 0)}`;
    reading.textContent = `${point.name}: ${formatPercent(point.value)}${beside}`;
    cursor.setAttribute('d', `M${x(index)} 0V${HEIGHT}`);
  });
  picture.addEventListener('mouseleave', () => {
    reading.textContent = summary(shown);
    cursor.setAttribute('d', '');
  });

  return {
    root,
    show(points, options) {
      shown = points;
      columns = Math.max(1, options.expected ?? 0, points.length);
      second = options.second;
      const values = [...points.map(({ value }) => value), ...(second?.values ?? [])];
      const highest = values.reduce((max, value) => Math.max(max, value), options.reference?.value ?? 0);
      most = highest === 0 ? 1 : highest * 1.12;
      dots.setAttribute('d', dotsAt(points.map(({ value }) => value)));
      others.setAttribute('d', dotsAt(second?.values ?? []));
      legend.replaceChildren(...(second === undefined ? [] : [legendItem('first', second.firstLabel), legendItem('second', second.label)]));
      const line = options.reference;
      reference.setAttribute('d', line === undefined ? '' : `M0 ${y(line.value)}H${WIDTH}`);
      referenceLabel.textContent = line === undefined ? '' : `${line.label}, ${formatPercent(line.value)}`;
      referenceLabel.style.top = line === undefined ? '' : `${(y(line.value) / HEIGHT) * 100}%`;
      top.textContent = line === undefined ? formatPercent(most) : '';
      title.textContent = options.title;
      axis.textContent = options.axis ?? '';
      reading.textContent = summary(points);
      picture.setAttribute(
        'aria-label',
        [
          options.title,
          summary(points),
          ...(line === undefined ? [] : [`${line.label} is ${formatPercent(line.value)}`]),
          ...(second === undefined ? [] : [`${second.label}: ${range(second.values)}`]),
        ].join('. '),
      );
    },
  };
}

function legendItem(series: 'first' | 'second', label: string): HTMLElement {
  return element('span', { class: `plot-series plot-${series}` }, [
    element('span', { class: 'plot-dot', aria: { hidden: 'true' } }),
    label,
  ]);
}

function summary(points: readonly PlotPoint[]): string {
  if (points.length === 0) return 'No tensor yet';
  return `${points.length === 1 ? '1 tensor' : `${points.length} tensors`}, ${range(points.map(({ value }) => value))}`;
}

function range(all: readonly number[]): string {
  const values = [...all].sort((a, b) => a - b);
  const [least = 0, median = 0, most = 0] = [values[0], values[values.length >> 1], values.at(-1)];
  if (formatPercent(least) === formatPercent(most)) return `${values.length === 1 ? '' : 'all '}${formatPercent(median)}`;
  return `median ${formatPercent(median)}, ${formatPercent(least)} to ${formatPercent(most)}`;
}

function svg<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string>>,
): SVGElementTagNameMap[Name] {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
