/** familyRules: a recognised file → for each tensor, whether its family keeps or removes it, and why. Pure. */
import type { Header } from '../safetensors/header';
import { familyOf, type FamilyId } from './families';
import type { NameRule } from './family';
import { ownersByName, type Recognition } from './recognise';

export interface FamilyRule {
  readonly action: 'keep' | 'remove';
  readonly family: FamilyId;
  /** The pattern with its block number filled in, e.g. `^transformer_blocks.47.`. */
  readonly pattern: string;
  /** One sentence, e.g. "FLUX.1: final layer: its errors are in the result directly." */
  readonly reason: string;
}

export interface FamilyRules {
  /** Every rule that can apply to this file, in the order in which they are tried. */
  readonly rules: readonly FamilyRule[];
  /** The rule that takes the tensor; undefined leaves it to the rules that hold for any model. */
  readonly ruleOf: (tensorName: string) => FamilyRule | undefined;
}

export function familyRules(header: Header, recognition: Recognition): FamilyRules {
  const owners = ownersByName(header, recognition.components);
  const byPrefix = new Map(
    recognition.components.map(({ family: id, prefix }) => {
      const family = familyOf(id);
      const names = header.tensors.filter(({ name }) => owners.get(name) === prefix).map(({ name }) => name.slice(prefix.length));
      const resolved = (action: FamilyRule['action'], rules: readonly NameRule[]) =>
        rules.flatMap(({ pattern, reason }): readonly FamilyRule[] => {
          const literal = withBlockNumber(pattern, names);
          return literal === undefined ? [] : [{ action, family: id, pattern: literal, reason: `${family.title}: ${reason}.` }];
        });
      return [prefix, [...resolved('remove', family.remove ?? []), ...resolved('keep', family.keep)]] as const;
    }),
  );
  return {
    rules: [...byPrefix.values()].flat(),
    ruleOf: (tensorName) => {
      const prefix = owners.get(tensorName);
      if (prefix === undefined) return undefined;
      return byPrefix.get(prefix)?.find(({ pattern }) => matches(tensorName.slice(prefix.length), pattern));
    },
  };
}

/** The pattern with the number of the block that the file has; undefined where it has no such block. */
function withBlockNumber(pattern: string, names: readonly string[]): string | undefined {
  const placeholder = /\{(first|last)([+-]\d+)?\}/.exec(pattern);
  if (placeholder === null) return pattern;
  const [text, end, offset = '0'] = placeholder;
  const [before = '', after = ''] = pattern.split(text);
  const anchored = before.startsWith('^');
  const search = new RegExp(`${anchored ? '^' : ''}${escaped(anchored ? before.slice(1) : before)}(\\d+)${escaped(after)}`);
  const numbers = new Set(names.flatMap((name) => search.exec(name)?.[1] ?? []).map(Number));
  if (numbers.size === 0) return undefined;
  const wanted = (end === 'first' ? Math.min(...numbers) : Math.max(...numbers)) + Number(offset);
  return numbers.has(wanted) ? `${before}${wanted}${after}` : undefined;
}

function matches(name: string, pattern: string): boolean {
  return pattern.startsWith('^') ? name.startsWith(pattern.slice(1)) : name.includes(pattern);
}

function escaped(literal: string): string {
  return literal.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
