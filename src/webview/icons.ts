/** The few icons of the webview, drawn as strokes on a 16-pixel grid in the colour of the text around them. */

const PATHS = {
  sortArrow: 'M8 3.5v9M4.5 7 8 3.5 11.5 7',
  chevron: 'M6 4l4 4-4 4',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.3 10.3 14 14',
  filter: 'M2 3.5h12M4.5 8h7M6.8 12.5h2.4',
  tree: 'M2.5 3.5h5M5 7.5h6M5 11.5h6M2.5 3.5v8M2.5 7.5H5M2.5 11.5H5',
  list: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  collapse: 'M3.5 6.5 8 2.5l4.5 4M3.5 9.5l4.5 4 4.5-4',
  export: 'M8 2v8M5 7l3 3 3-3M2.5 11v2.5h11V11',
  details: 'M2.5 2.5h11v11h-11ZM9.5 2.5v11',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h7v8h-7ZM3.5 10.5v-8h7',
  pencil: 'M3 13l.8-3.3L10.9 2.6l2.5 2.5-7.1 7.1ZM9.3 4.2l2.5 2.5',
  arrowRight: 'M2.5 8h10.5M9 4l4 4-4 4',
  check: 'M3 8.5 6.5 12 13 4.5',
  warning: 'M8 2.2 14.3 13.5H1.7ZM8 6.5v3.2M8 11.3v.8',
  error: 'M8 1.8a6.2 6.2 0 1 1 0 12.4A6.2 6.2 0 0 1 8 1.8ZM8 4.8v4M8 10.6v.9',
  brokenFile: 'M9 1.5H3.5v13h9V5ZM9 1.5V5h3.5M3.5 9.5l2.3-1.6 2.2 2 2.2-2 2.3 1.6',
} as const;

export type IconName = keyof typeof PATHS;

const SVG = 'http://www.w3.org/2000/svg';

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', `icon icon-${name}`);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
