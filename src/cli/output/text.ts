/** text: small pieces of plain text: names made safe, tables, endings. Pure. */

/** Names come from files that nobody vouches for: control characters would drive the terminal. */
export function printable(text: string): string {
  return text.replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Controls, line and paragraph separators, and what changes the direction of writing. */
const CONTROL = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** At most `width` characters; the middle of a longer text gives way, because the ends of a tensor's name say most. */
export function shortened(text: string, width: number): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  if (width <= 1) return '…'.slice(0, Math.max(0, width));
  const tail = Math.ceil((width - 1) / 2);
  return [...characters.slice(0, width - 1 - tail), '…', ...characters.slice(characters.length - tail)].join('');
}

export interface Column {
  readonly title: string;
  readonly align: 'left' | 'right';
}

/** Lines of a table without borders. Cells have no styles yet: `decorate` adds them to whole, padded lines. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  decorateTitle: (line: string) => string,
): readonly string[] {
  const widths = columns.map(({ title }, index) =>
    rows.reduce((width, row) => Math.max(width, Array.from(row[index] ?? '').length), title.length),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const padding = ' '.repeat(Math.max(0, (widths[index] ?? 0) - Array.from(cell).length));
        return align === 'left' ? cell + padding : padding + cell;
      })
      .join('  ')
      .trimEnd();
  return [decorateTitle(`  ${line(columns.map(({ title }) => title))}`), ...rows.map((row) => `  ${line(row)}`)];
}
