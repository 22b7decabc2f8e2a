/** Line plots as one SVG image, readable on light and dark pages. Pure. */

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Panel {
  readonly title: string;
  readonly xTitle: string;
  /** Positions are equally spaced, in this order; every point is at one of them. */
  readonly ticks: readonly { readonly x: number; readonly label: string }[];
  readonly lines: readonly Line[];
}

const WIDTH = 420;
const HEIGHT = 300;
const AREA = { left: 44, right: 16, top: 34, bottom: 44 } as const;
const LEGEND_ROW = 20;
const COLOURS = ['#2f7fd1', '#d1652f', '#3a9a5b', '#9a5bc4', '#b58a1f'] as const;
const MARKS = ['0', '7 3', '2 3', '9 3 2 3', '4 2'] as const;

/** Panels stand side by side; lines of the same name look the same and share a legend. */
export function plot(panels: readonly Panel[]): string {
  const names = [...new Set(panels.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  const width = WIDTH * panels.length;
  const height = HEIGHT + LEGEND_ROW * names.length + 8;
  const parts = panels.map((panel, index) => `<g transform="translate(${index * WIDTH} 0)">\n${drawPanel(panel, names)}\n</g>`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    '<style>',
    'text { fill: #24292f; } .page { fill: #ffffff; } .grid { stroke: #d0d7de; } .line { fill: none; stroke-width: 2; }',
    '@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .page { fill: #161b22; } .grid { stroke: #3d444d; } }',
    '</style>',
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...parts,
    ...names.map((name, index) => drawLegend(name, index)),
    '</svg>',
    '',
  ].join('\n');
}

function drawPanel({ title, xTitle, ticks, lines }: Panel, names: readonly string[]): string {
  const top = niceTop(Math.max(...lines.flatMap(({ points }) => points.map(({ y }) => y))));
  const right = WIDTH - AREA.right;
  const bottom = HEIGHT - AREA.bottom;
  const atX = (x: number): number => {
    const index = ticks.findIndex((tick) => tick.x === x);
    if (index < 0) throw new Error(`no tick at ${x}`);
    return AREA.left + 12 + ((right - AREA.left - 24) * index) / Math.max(1, ticks.length - 1);
  };
  const atY = (y: number): number => bottom - ((bottom - AREA.top) * y) / top;
  const levels = Array.from({ length: 5 }, (_, index) => (top * index) / 4);
  return [
    text(WIDTH / 2, 20, title, 'middle', 14),
    ...levels.map((y) => `<path class="grid" d="M${AREA.left} ${round(atY(y))}H${right}"/>`),
    ...levels.map((y) => text(AREA.left - 6, atY(y) + 4, y.toFixed(2), 'end')),
    ...ticks.map(({ x, label }) => text(atX(x), bottom + 18, label, 'middle')),
    text((AREA.left + right) / 2, bottom + 36, xTitle, 'middle'),
    ...lines.flatMap(({ name, points }) => {
      const index = names.indexOf(name);
      const path = points.map(({ x, y }, place) => `${place === 0 ? 'M' : 'L'}${round(atX(x))} ${round(atY(y))}`).join('');
      return [
        `<path class="line" stroke="${colourOf(index)}" stroke-dasharray="${markOf(index)}" d="${path}"/>`,
        ...points.map(({ x, y }) => `<circle cx="${round(atX(x))}" cy="${round(atY(y))}" r="3" fill="${colourOf(index)}"/>`),
      ];
    }),
  ].join('\n');
}

function drawLegend(name: string, index: number): string {
  const y = HEIGHT + LEGEND_ROW * index + 6;
  const sample = `<path class="line" stroke="${colourOf(index)}" stroke-dasharray="${markOf(index)}" d="M${AREA.left} ${y}h36"/>`;
  return `${sample}\n${text(AREA.left + 46, y + 4, name, 'start')}`;
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? COLOURS[0];
}

function markOf(index: number): string {
  return MARKS[index % MARKS.length] ?? MARKS[0];
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end', size = 12): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" font-size="${size}">${escaped}</text>`;
}

/** The least of 0.2, 0.4, 0.6, … that nothing exceeds. */
function niceTop(largest: number): number {
  return Math.max(1, Math.ceil(largest * 5 - 1e-9)) / 5;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}
