/**
 * nameFilter: what is typed into a search box → which names it means. Words are looked for anywhere, in any case, and all of them must be
 * there; `*` and `?` stand for any characters and for one, and a `*` at an end of a word stands for all the rest; text between slashes is a
 * regular expression. Pure.
 */

export type NameFilter =
  | { readonly kind: 'all' }
  /** `matches` gets the name and the same in lower case. */
  | { readonly kind: 'some'; readonly matches: (name: string, lowerCase: string) => boolean }
  | { readonly kind: 'invalid'; readonly problem: string };

export function nameFilter(text: string): NameFilter {
  const trimmed = text.trim();
  if (trimmed === '') return { kind: 'all' };
  if (trimmed.startsWith('/')) {
    const expression = /^\/(.+)\/([a-z]*)$/s.exec(trimmed);
    // The closing slash is yet to be typed.
    return regularExpression(expression?.[1] ?? trimmed.slice(1), expression?.[2] ?? '');
  }
  const words = trimmed.toLowerCase().split(/\s+/).map(wordTest);
  const [only] = words;
  if (words.length === 1 && only !== undefined) return { kind: 'some', matches: (_, lowerCase) => only(lowerCase) };
  return { kind: 'some', matches: (_, lowerCase) => words.every((test) => test(lowerCase)) };
}

function wordTest(word: string): (name: string) => boolean {
  if (!/[*?]/.test(word)) return (name) => name.includes(word);
  const source = word
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.');
  const start = word.startsWith('*') || !word.endsWith('*') ? '' : '^';
  const end = word.endsWith('*') || !word.startsWith('*') ? '' : '$';
  // At an end that is not anchored, any characters are none: without them nothing is tried twice.
  const needed = source.replace(start === '' ? /^\.\*/ : '', '').replace(end === '' ? /\.\*$/ : '', '');
  const expression = new RegExp(`${start}${needed}${end}`, 's');
  return (name) => expression.test(name);
}

function regularExpression(source: string, flags: string): NameFilter {
  if (source === '') return { kind: 'all' };
  if (!/^[iu]*$/.test(flags))
    return { kind: 'invalid', problem: `After the last slash only i (ignore case) has a meaning, not “${flags}”.` };
  try {
    const expression = new RegExp(source, flags);
    return { kind: 'some', matches: (name) => expression.test(name) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const why = message.replace(/^Invalid regular expression: (\/.*\/\w*: )?/s, '');
    return { kind: 'invalid', problem: `Not a regular expression: ${why.charAt(0).toLowerCase()}${why.slice(1)}.` };
  }
}
