/** recipeFile: a recipe as a JSON file, `*.fp8recipe.json`, for people to keep and share. Read strictly: what it does not understand it refuses. Pure. */
import { suggest } from '../../base/suggest';
import { EngineError } from '../errors';
import { blockSizeProblem } from './chooseEncoding';
import type { Action } from './decision';
import { GRANULARITIES, MAX_BLOCK_EDGE, TARGETS, type BlockSize } from './encoding';
import type { Override } from './overrides';
import {
  BIAS_CORRECTIONS,
  CONVOLUTIONS,
  EMBEDDINGS,
  LAYOUTS,
  PRESET_NAMES,
  QUANTIZED,
  ROUNDINGS,
  SIDES,
  STATISTICS,
  type Recipe,
} from './recipe';
import { parsePattern } from './tensorPattern';

export const RECIPE_FILE_SUFFIX = '.fp8recipe.json';

const ACTIONS: readonly Action[] = ['quantize', 'keep', 'remove'];

type Readers = { readonly [Key in keyof Recipe]: (value: unknown, at: Place) => Recipe[Key] };

/** Every key that a recipe file may have, and who reads it: a new key of Recipe does not compile without its reader. */
const READERS: Readers = {
  presets: (value, at) => {
    const presets = list(value, at).map((preset, index) => oneOf(PRESET_NAMES, preset, at.item(index)));
    const twice = presets.find((preset, index) => presets.indexOf(preset) !== index);
    return twice === undefined ? presets : at.fail(`names "${twice}" twice; once is enough`);
  },
  layout: (value, at) => oneOf(LAYOUTS, value, at),
  target: (value, at) => oneOf(TARGETS, value, at),
  granularity: (value, at) => oneOf(GRANULARITIES, value, at),
  blockSize,
  rounding: (value, at) => oneOf(ROUNDINGS, value, at),
  topK: (value, at) => (value === 'full' ? 'full' : wholeNumber(value, at, { least: 1, most: 1_000_000, or: '"full" or ' })),
  numIter: (value, at) => wholeNumber(value, at, { least: 1, most: 1_000_000 }),
  calibSamples: (value, at) => wholeNumber(value, at, { least: 512, most: 8192 }),
  statistics: (value, at) => oneOf(STATISTICS, value, at),
  sides: (value, at) => oneOf(SIDES, value, at),
  calibration: (value, at) => (value === null ? null : text(value, at, 'the path of a calibration file')),
  biasCorrection: (value, at) => oneOf(BIAS_CORRECTIONS, value, at),
  convolutions: (value, at) => oneOf(CONVOLUTIONS, value, at),
  embeddings: (value, at) => oneOf(EMBEDDINGS, value, at),
  quantized: (value, at) => oneOf(QUANTIZED, value, at),
  minElements: (value, at) => wholeNumber(value, at, { least: 0, most: Number.MAX_SAFE_INTEGER }),
  seed: (value, at) => wholeNumber(value, at, { least: 0, most: Number.MAX_SAFE_INTEGER }),
  overrides: (value, at) => list(value, at).map((item, index) => override(item, at.item(index))),
};

/** Keys that are not there are not in the result. Throws EngineError InvalidRecipe, which names the file, the key and what it may be. */
export function parseRecipeFile(text: string, path: string): Partial<Recipe> {
  const root = new Place(path, '');
  const entries = Object.entries(object(json(text, path), root)).filter(([key]) => key !== '$schema');
  const recipe: Partial<Recipe> = Object.fromEntries(
    entries.map(([key, value]) => {
      if (!isRecipeKey(key)) {
        const meant = suggest(key, Object.keys(READERS));
        const hint = meant === undefined ? '' : ` (did you mean "${meant}"?)`;
        return root.fail(`has the key "${key}", which no recipe has${hint}; the keys are ${Object.keys(READERS).join(', ')}`);
      }
      return [key, READERS[key](value, root.key(key))];
    }),
  );
  const { target, granularity, blockSize: size } = recipe;
  const problem = target === undefined || granularity !== 'block' ? undefined : blockSizeProblem(target, size);
  return problem === undefined ? recipe : root.key('blockSize').fail(`is not for ${target}: ${problem.replace(/\.$/, '')}`);
}

export function recipeFileText(recipe: Recipe): string {
  const ordered = Object.fromEntries((Object.keys(READERS) as readonly (keyof Recipe)[]).map((key) => [key, recipe[key]]));
  return `${JSON.stringify(ordered, undefined, 2)}\n`;
}

/** Where in the file a value stands, for messages. */
class Place {
  constructor(
    private readonly file: string,
    private readonly path: string,
  ) {}

  key(name: string): Place {
    return new Place(this.file, this.path === '' ? name : `${this.path}.${name}`);
  }

  item(index: number): Place {
    return new Place(this.file, `${this.path}[${index}]`);
  }

  /** `problem` continues a sentence whose subject is the place. */
  fail(problem: string): never {
    const subject = this.path === '' ? 'the recipe' : `"${this.path}"`;
    throw new EngineError('InvalidRecipe', `${this.file}: ${subject} ${problem}.`, { path: this.file });
  }
}

function isRecipeKey(key: string): key is keyof Recipe {
  return Object.hasOwn(READERS, key);
}

function json(text: string, path: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new EngineError('InvalidRecipe', `${path}: ${whyNotJson(text, error)}`, { path }, { cause: error });
  }
}

/** As sentences. Bytes are not shown. */
function whyNotJson(text: string, error: unknown): string {
  if (/[\0-\x08\x0e-\x1f\ufffd]/.test(text)) return 'it is not text, and a recipe is JSON. Check the path.';
  const position = positionOf(text, error instanceof Error ? error.message : '');
  if (position === undefined) return 'it is not JSON: it ends too early.';
  const number = text.slice(0, position).split('\n').length;
  const line = (text.split('\n')[number - 1] ?? '').trim();
  const shownLine = line.length <= 60 ? line : `${line.slice(0, 60)}…`;
  return `it is not JSON from line ${number} on (${shownLine}). Comments and trailing commas are not allowed.`;
}

/** Where the parser stopped, which it tells by a number or by what stands around it; undefined at the end. */
function positionOf(text: string, message: string): number | undefined {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position) < text.length ? Number(position) : undefined;
  const [, token = '', dots, around = ''] =
    /^Unexpected token '([^]+?)', (\.{3})?"([^]*?)"(?:\.{3})? is not valid JSON$/.exec(message) ?? [];
  const start = around === '' ? -1 : text.indexOf(around);
  if (start < 0) return undefined;
  // What is shown begins ten characters before the token, unless it begins with the text.
  const found = text.indexOf(token, start + (dots === undefined ? 0 : 10));
  return found < 0 ? undefined : found;
}

function override(value: unknown, at: Place): Override {
  const { match, action, ...details } = object(value, at);
  const unknown = Object.keys(details).find((key) => !Object.hasOwn(OVERRIDE_DETAILS, key));
  if (unknown !== undefined) {
    at.fail(
      `has the key "${unknown}"; an override has "match" and "action", and with "quantize" also ${Object.keys(OVERRIDE_DETAILS).join(', ')}`,
    );
  }
  if (typeof match !== 'string')
    return at.key('match').fail(`must be a name, a pattern such as "*.mlp.*", or "/…/"; it is ${shown(match)}`);
  try {
    parsePattern(match);
  } catch (error) {
    at.key('match').fail(`cannot be used: ${EngineError.wrap(error).message.replace(/\.$/, '')}`);
  }
  const chosen = oneOf(ACTIONS, action, at.key('action'));
  const [detail] = Object.keys(details);
  if (chosen !== 'quantize' && detail !== undefined) at.key(detail).fail(`has no meaning where the action is "${chosen}"`);
  return { match, action: chosen, ...overrideDetails(details, at) };
}

type OverrideDetails = Pick<Override, 'target' | 'granularity' | 'blockSize' | 'rounding'>;

const OVERRIDE_DETAILS: { readonly [Key in keyof OverrideDetails]-?: (value: unknown, at: Place) => NonNullable<OverrideDetails[Key]> } = {
  target: (value, at) => oneOf(TARGETS, value, at),
  granularity: (value, at) => oneOf(GRANULARITIES, value, at),
  blockSize,
  rounding: (value, at) => oneOf(ROUNDINGS, value, at),
};

function overrideDetails(details: Readonly<Record<string, unknown>>, at: Place): OverrideDetails {
  const keys = (Object.keys(OVERRIDE_DETAILS) as readonly (keyof OverrideDetails)[]).filter((key) => Object.hasOwn(details, key));
  return Object.fromEntries(keys.map((key) => [key, OVERRIDE_DETAILS[key](details[key], at.key(key))]));
}

function blockSize(value: unknown, at: Place): BlockSize {
  const [rows, columns, ...others] = list(value, at);
  if (columns === undefined || others.length > 0) return at.fail(`must be [rows, columns]; it is ${shown(value)}`);
  const limits = { least: 1, most: MAX_BLOCK_EDGE };
  return [wholeNumber(rows, at.item(0), limits), wholeNumber(columns, at.item(1), limits)];
}

function oneOf<Choice extends string>(choices: readonly Choice[], value: unknown, at: Place): Choice {
  return choices.find((choice) => choice === value) ?? at.fail(`must be one of ${choices.map(shown).join(', ')}; it is ${shown(value)}`);
}

function wholeNumber(value: unknown, at: Place, range: { readonly least: number; readonly most: number; readonly or?: string }): number {
  const { least, most, or = '' } = range;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const limits = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  return at.fail(`must be ${or}a whole number, ${limits}; it is ${shown(value)}`);
}

function text(value: unknown, at: Place, what: string): string {
  return typeof value === 'string' && value !== '' ? value : at.fail(`must be ${what} or null; it is ${shown(value)}`);
}

function list(value: unknown, at: Place): readonly unknown[] {
  return Array.isArray(value) ? value : at.fail(`must be a list in brackets; it is ${shown(value)}`);
}

function object(value: unknown, at: Place): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  return at.fail(`must be an object in braces; it is ${shown(value)}`);
}

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`;
}
