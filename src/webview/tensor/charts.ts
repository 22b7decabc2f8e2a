/** The small charts of a tensor's details, drawn as SVG in the theme's colours, each with a sentence for those who do not see it. */
import { formatInteger, formatPercent } from '../../base/format';
import { element } from '../dom';
import type { StatisticsView } from '../protocol/inspection';
import { formatValue } from './numbers';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 512;
const HEIGHT = 96;

/** Counts on a logarithmic scale, so that a single outlier is seen beside a million values. */
export function histogramChart({ histogram, smallest, largest, fp8Scale }: StatisticsView): HTMLElement {
  const most = Math.max(...histogram, 1);
  const width = WIDTH / histogram.length;
  const height = (count: number): number => (count === 0 ? 0 : Math.max(2, (Math.log1p(count) / Math.log1p(most)) * HEIGHT));
  const bars = histogram.map((count, bin) => {
    const tall = height(count);
    return count === 0 ? '' : `M${bin * width} ${HEIGHT}v${-tall}h${width * 0.86}v${tall}z`;
  });
  const x = (value: number): number => ((value - smallest) / (largest - smallest || 1)) * WIDTH;
  const finest = fp8Scale * 2 ** -6;
  const band = { from: Math.max(0, x(-finest)), to: Math.min(WIDTH, x(finest)) };
  const svg = picture(
    `Histogram of the values from ${formatValue(smallest)} to ${formatValue(largest)}, counts up to ${formatInteger(most)}`,
  );
  if (band.to > band.from) svg.append(path(`M${band.from} 0H${band.to}V${HEIGHT}H${band.from}z`, 'chart-band'));
  if (smallest < 0 && largest > 0) svg.append(path(`M${x(0)} 0V${HEIGHT}`, 'chart-zero'));
  svg.append(path(bars.join(''), 'chart-bars'));
  const reading = element('span', { class: 'chart-reading dim', text: 'counts, logarithmic' });
  svg.addEventListener('mousemove', (event) => {
    const box = svg.getBoundingClientRect();
    const bin = Math.min(histogram.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * histogram.length)));
    const step = (largest - smallest) / histogram.length;
    const [from, to] = [smallest + bin * step, smallest + (bin + 1) * step];
    reading.textContent = `${formatValue(from)} to ${formatValue(to)}: ${formatInteger(histogram[bin] ?? 0)}`;
  });
  svg.addEventListener('mouseleave', () => (reading.textContent = 'counts, logarithmic'));
  return figure('Values', reading, svg, [formatValue(smallest), formatValue(largest)]);
}

/** How uneven the columns are: from the one with most energy to the one with least. */
export function energyChart({ columnEnergies, halfEnergyShare }: StatisticsView): HTMLElement {
  const most = Math.max(...columnEnergies, 1);
  const step = WIDTH / Math.max(1, columnEnergies.length - 1);
  const y = (energy: number): number => HEIGHT - (energy / most) * (HEIGHT - 2);
  const line = columnEnergies
    .map((energy, index) => `${index === 0 ? 'M' : 'L'}${(index * step).toFixed(1)} ${y(energy).toFixed(1)}`)
    .join('');
  const svg = picture(
    `Energy of the columns, sorted: the strongest has ${formatValue(columnEnergies[0] ?? 0)} times the mean, the weakest ${formatValue(columnEnergies.at(-1) ?? 0)} times`,
  );
  svg.append(path(`${line}V${HEIGHT}H0z`, 'chart-area'), path(line, 'chart-line'), path(`M0 ${y(1)}H${WIDTH}`, 'chart-zero'));
  const reading = element('span', { class: 'chart-reading dim', text: `half in ${formatPercent(halfEnergyShare)} of columns` });
  return figure('Energy by column', reading, svg, [`${formatValue(most)} × mean`, `${formatValue(columnEnergies.at(-1) ?? 0)} × mean`]);
}

function figure(title: string, reading: HTMLElement, svg: SVGElement, ends: readonly [string, string]): HTMLElement {
  return element('figure', { class: 'chart' }, [
    element('figcaption', {}, [element('span', { text: title }), reading]),
    svg,
    element('div', { class: 'chart-ends dim', aria: { hidden: 'true' } }, [
      element('span', { text: ends[0] }),
      element('span', { text: ends[1] }),
    ]),
  ]);
}

function picture(label: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  for (const [name, value] of Object.entries({
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none',
    role: 'img',
    class: 'chart-picture',
    'aria-label': label,
  })) {
    svg.setAttribute(name, value);
  }
  return svg;
}

function path(d: string, name: string): SVGPathElement {
  const made = document.createElementNS(SVG, 'path');
  made.setAttribute('d', d);
  made.setAttribute('class', name);
  return made;
}
