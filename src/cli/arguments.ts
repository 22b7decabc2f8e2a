/** Arguments: a strict parser of options and positionals. Dashes and underscores in names mean the same; nothing unknown is let through. Pure. */
import { suggest } from '../base/suggest';
import { UsageError } from './usageError';

export interface OptionSpec {
  /** As it is shown, e.g. `calib_samples`. */
  readonly name: string;
  readonly short?: string;
  /** What stands for the value in the help, e.g. `FILE`; a flag has none. */
  readonly value?: string;
  readonly help: string;
  /** How often it may be given; once unless told. */
  readonly times?: 'many';
}

export class Arguments {
  private constructor(
    readonly positionals: readonly string[],
    private readonly values: ReadonlyMap<string, string>,
    private readonly repeated: readonly { readonly name: string; readonly value: string }[],
  ) {}

  /** Throws UsageError. */
  static parse(words: readonly string[], specs: readonly OptionSpec[]): Arguments {
    const positionals: string[] = [];
    const values = new Map<string, string>();
    const repeated: { readonly name: string; readonly value: string }[] = [];
    const rest = [...words];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === '--') {
        positionals.push(...rest.splice(0));
      } else if (word.startsWith('-') && word !== '-') {
        const { name, value } = readOption(word, rest, specs);
        if (specs.find((spec) => spec.name === name)?.times === 'many') repeated.push({ name, value });
        else if (values.has(name)) throw new UsageError(`${flag(name)} is given twice`);
        else values.set(name, value);
      } else {
        positionals.push(word);
      }
    }
    return new Arguments(positionals, values, repeated);
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  text(name: string): string | undefined {
    return this.values.get(name);
  }

  /** Every use of these options, in the order in which they were given. */
  inOrder<Name extends string>(names: readonly Name[]): readonly { readonly name: Name; readonly value: string }[] {
    return this.repeated.flatMap(({ name, value }) => {
      const found = names.find((candidate) => candidate === name);
      return found === undefined ? [] : [{ name: found, value }];
    });
  }

  /** Throws UsageError unless the value is one of `choices`. */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const found = choices.find((choice) => choice === text.toLowerCase());
    if (found !== undefined) return found;
    const meant = suggest(text, choices);
    throw new UsageError(
      `${flag(name)} cannot be "${text}"${meant === undefined ? '' : `; did you mean ${meant}?`} (${choices.join(', ')})`,
    );
  }

  /** Throws UsageError unless the value is an integer from `least` to `most`. */
  integer(name: string, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
    throw new UsageError(`${flag(name)} must be a whole number, ${range}; it is "${text}"`);
  }
}

export function flag(name: string): string {
  return `--${name}`;
}

function readOption(word: string, rest: string[], specs: readonly OptionSpec[]): { readonly name: string; readonly value: string } {
  const equals = word.indexOf('=');
  const typed = equals === -1 ? word : word.slice(0, equals);
  const spec = specs.find(({ name, short }) => typed === `-${short ?? ''}` || normalised(typed) === normalised(flag(name)));
  if (spec === undefined) throw unknownOption(typed, specs);
  const { name, value: placeholder } = spec;
  const attached = equals === -1 ? undefined : word.slice(equals + 1);
  if (placeholder === undefined) {
    if (attached !== undefined) throw new UsageError(`${flag(name)} takes no value`);
    return { name, value: '' };
  }
  const value = attached ?? nextValue(rest);
  if (value === undefined || value === '') throw new UsageError(`${flag(name)} needs a value: ${flag(name)} ${placeholder}`);
  return { name, value };
}

/** The next word, unless it is an option itself; a negative number is a value, which its reader then judges. */
function nextValue(rest: string[]): string | undefined {
  const [next] = rest;
  if (next === undefined || (next.startsWith('-') && !/^-\d/.test(next))) return undefined;
  return rest.shift();
}

function unknownOption(typed: string, specs: readonly OptionSpec[]): UsageError {
  const meant = suggest(
    typed,
    specs.map(({ name }) => flag(name)),
  );
  return new UsageError(`unknown option ${typed}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
}

function normalised(option: string): string {
  return option.startsWith('--') ? `--${option.slice(2).replace(/-/g, '_')}` : option;
}
