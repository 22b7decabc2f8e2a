/** The little Markdown that reports need, safe for any name that a file may hold. Pure. */

export interface TableColumn {
  readonly title: string;
  readonly align?: 'end';
}

/** Cells are Markdown already. */
export function table(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = columns.map(({ align }) => (align === 'end' ? '---:' : '---'));
  return [line(columns.map(({ title }) => title)), line(rule), ...rows.map(line)].join('\n');
}

/** Text that means itself, also inside a table. */
export function escapeMarkdown(text: string): string {
  return oneLine(text).replace(/[\\`*_{}[\]<>#|~&]/g, '\\$&');
}

/** A name in code style, also inside a table. Shorter in the middle where it would fill the page. */
export function inlineCode(text: string): string {
  const line = oneLine(text.length <= 200 ? text : `${text.slice(0, 150)}…${text.slice(-40)}`);
  if (line.trim() === '') return '(no name)';
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  // A table takes even a quoted bar for its own.
  return `${fence}${pad}${line.replaceAll('|', '\\|')}${pad}${fence}`;
}

/** A figure and its unit stay on one line. */
export function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00a0');
}

function oneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, ' ');
}
