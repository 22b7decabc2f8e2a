/** The few icons of the webview, drawn as strokes on a 16-pixel grid in the colour of the text around them. */

const PATHS = {
  sortArrow: 'M8 3.5v9M4.5 7 8 3.5 11.5 7',
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
