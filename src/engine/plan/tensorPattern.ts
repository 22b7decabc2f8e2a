/**
 * Patterns that pick tensors by name. `*` stands for any characters, dots too, `?` for one, and a backslash takes the next character as it is;
 * the whole name must match. Between slashes it is a regular expression, which may match anywhere: `/block\.[0-3]\./`, `/NORM/i`.
 */
import { EngineError } from '../errors';

export type TensorPattern =
  { readonly kind: 'name'; readonly name: string } | { readonly kind: 'pattern'; readonly matches: (name: string) => boolean };

/** Throws EngineError InvalidRecipe. */
export function parsePattern(text: string): TensorPattern {
  if (text === '') throw new EngineError('InvalidRecipe', 'A pattern is empty. Write a tensor’s name, or * for every tensor.');
  const expression = /^\/(.+)\/([a-z]*)$/s.exec(text);
  if (expression !== null) return { kind: 'pattern', matches: regularExpression(text, expression[1] ?? '', expression[2] ?? '') };
  const glob = parseGlob(text);
  return glob.every((part) => typeof part === 'string')
    ? { kind: 'name', name: glob.join('') }
    : { kind: 'pattern', matches: (name) => matchesGlob(glob, name) };
}

/** The pattern that matches this name alone. */
export function patternOfName(name: string): string {
  const escaped = name.replace(/[\\*?]/g, '\\$&');
  return escaped.startsWith('/') ? `\\${escaped}` : escaped;
}

function regularExpression(text: string, source: string, flags: string): (name: string) => boolean {
  if (!/^[iu]*$/.test(flags)) {
    throw new EngineError(
      'InvalidRecipe',
      `The pattern ${text} ends in "${flags}"; after the last slash only i (ignore case) has a meaning.`,
    );
  }
  try {
    const expression = new RegExp(source, flags);
    return (name) => expression.test(name);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: .*: /s, '') : String(error);
    throw new EngineError(
      'InvalidRecipe',
      `The pattern ${text} is not a regular expression: ${why}. Without slashes, * stands for any characters.`,
    );
  }
}

const ANY = Symbol('any characters');
const ONE = Symbol('one character');
type GlobPart = string | typeof ANY | typeof ONE;

function parseGlob(text: string): readonly GlobPart[] {
  const parts: GlobPart[] = [];
  const characters = [...text];
  for (let i = 0; i < characters.length; i += 1) {
    const character = characters[i] ?? '';
    if (character === '\\' && i + 1 < characters.length) {
      i += 1;
      parts.push(characters[i] ?? '');
    } else if (character === '*') {
      if (parts.at(-1) !== ANY) parts.push(ANY);
    } else {
      parts.push(character === '?' ? ONE : character);
    }
  }
  return parts;
}

/** In time proportional to the name for each `*`, whatever the pattern: only the last `*` is ever tried again. */
function matchesGlob(glob: readonly GlobPart[], name: string): boolean {
  const characters = [...name];
  let at = 0;
  let part = 0;
  let retry: { readonly part: number; at: number } | undefined;
  while (at < characters.length) {
    const expected = glob[part];
    if (expected === ANY) {
      retry = { part, at };
      part += 1;
    } else if (expected === ONE || expected === characters[at]) {
      part += 1;
      at += 1;
    } else if (retry !== undefined) {
      retry.at += 1;
      at = retry.at;
      part = retry.part + 1;
    } else {
      return false;
    }
  }
  while (glob[part] === ANY) part += 1;
  return part === glob.length;
}
