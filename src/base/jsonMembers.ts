/**
 * jsonMembers: a member of a JSON object set or taken out in its text, the rest of which stays as it is to the byte: numbers such as 10000.0 and 1e-05,
 * integers beyond 2^53 and the indentation are not what they were once they have been read. The text must be a JSON object. Pure.
 */

interface Member {
  readonly key: string;
  /** From the key's quotation mark to the end of the value. */
  readonly begin: number;
  readonly valueBegin: number;
  readonly end: number;
}

/** In the place of the member of that key, or behind the last. */
export function withJsonMember(text: string, key: string, value: unknown): string {
  const members = membersOf(text);
  const [first] = members;
  const last = members.at(-1);
  if (first === undefined || last === undefined) return `${JSON.stringify({ [key]: value }, undefined, 2)}\n`;
  const lead = text.slice(text.indexOf('{') + 1, first.begin);
  const indentation = lead.includes('\n') ? lead.slice(lead.lastIndexOf('\n') + 1) : undefined;
  const written =
    indentation === undefined ? JSON.stringify(value) : JSON.stringify(value, undefined, indentation).replaceAll('\n', `\n${indentation}`);
  // Of a key that is there twice, readers take the last.
  const former = members.findLast((member) => member.key === key);
  if (former !== undefined) return text.slice(0, former.valueBegin) + written + text.slice(former.end);
  const separator = indentation === undefined && lead === '' ? (/^,\s*/.exec(text.slice(first.end))?.[0] ?? ',') : `,${lead}`;
  return `${text.slice(0, last.end)}${separator}${JSON.stringify(key)}: ${written}${text.slice(last.end)}`;
}

export function withoutJsonMembers(text: string, keys: readonly string[]): string {
  const members = membersOf(text);
  const kept = members.filter(({ key }) => !keys.includes(key));
  const [first] = members;
  const last = members.at(-1);
  if (first === undefined || last === undefined || kept.length === members.length) return text;
  const separator = /^\s*,\s*/.exec(text.slice(first.end))?.[0] ?? ', ';
  return text.slice(0, first.begin) + kept.map(({ begin, end }) => text.slice(begin, end)).join(separator) + text.slice(last.end);
}

/** Of the outermost object. */
function membersOf(text: string): readonly Member[] {
  const members: Member[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;
  let depth = 0;
  let open: { readonly key: string; readonly begin: number; readonly valueBegin?: number } | undefined;
  const close = (at: number): void => {
    if (open?.valueBegin === undefined) return;
    const end = text.slice(0, at).trimEnd().length;
    members.push({ key: open.key, begin: open.begin, valueBegin: open.valueBegin, end });
    open = undefined;
  };
  for (const { 0: token, index } of text.matchAll(tokens)) {
    if (token === '{' || token === '[') depth += 1;
    else if (token === '}' || token === ']') {
      if (depth === 1) close(index);
      depth -= 1;
    } else if (depth !== 1) continue;
    else if (token === ',') close(index);
    else if (token === ':') {
      if (open !== undefined && open.valueBegin === undefined) open = { ...open, valueBegin: index + 1 + leadingSpaces(text, index + 1) };
    } else open ??= { key: String(JSON.parse(token)), begin: index };
  }
  return members;
}

function leadingSpaces(text: string, from: number): number {
  return /\s*/.exec(text.slice(from, from + 1000))?.[0].length ?? 0;
}
