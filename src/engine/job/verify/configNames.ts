/** configNames: the lists of layers in a configuration: names, and behind `re:` Python's regular expressions, which begin where the name does. Pure. */

export interface NameList {
  readonly has: (layer: string) => boolean;
  /** Patterns that only Python can read: what they name is not known. */
  readonly unread: readonly string[];
}

export function nameList(list: unknown): NameList {
  const entries = Array.isArray(list) ? list.filter((entry): entry is string => typeof entry === 'string') : [];
  const names = new Set(entries.filter((entry) => !entry.startsWith('re:')));
  const patterns = entries
    .filter((entry) => entry.startsWith('re:'))
    .map((text) => ({ text, expression: pythonExpression(text.slice(3)) }));
  return {
    has: (layer) => names.has(layer) || patterns.some(({ expression }) => expression?.test(layer)),
    unread: patterns.flatMap(({ text, expression }) => (expression === undefined ? [text] : [])),
  };
}

/** Flags at the start, named groups and the ends of a text are written otherwise in Python. */
function pythonExpression(text: string): RegExp | undefined {
  const [whole = '', flags = ''] = /^\(\?([ims]+)\)/.exec(text) ?? [];
  const source = text
    .slice(whole.length)
    .replace(/\(\?P<(\w+)>/g, '(?<$1>')
    .replace(/\\([AZ])/g, (_, end: string) => (end === 'A' ? '^' : '$'));
  try {
    return new RegExp(`^(?:${source})`, [...new Set(flags)].join(''));
  } catch {
    return undefined;
  }
}
