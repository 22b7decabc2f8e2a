/** chooseEncoding: what a recipe, and an override of it, ask for → the encoding, or a refusal with the nearest alternative. Pure. */
import { EngineError } from '../errors';
import {
  DEFAULT_BLOCK_SIZE,
  granularityName,
  granularityText,
  TARGET_FACTS,
  type BlockSize,
  type Encoding,
  type Granularity,
  type GranularityName,
  type Target,
} from './encoding';
import { FORMATS } from './formats/formats';
import type { Layout, Recipe, Rounding } from './recipe';

/** What is asked for of one tensor: the recipe's, with the override's in its place. */
export interface Wish {
  readonly layout: Layout;
  readonly target: Target;
  readonly granularity: GranularityName;
  /** Absent where nobody chose blocks: those that `auto` stands for have the usual size. */
  readonly blockSize?: BlockSize;
  readonly rounding: Rounding;
}

export function wishOf(recipe: Recipe, override: Partial<Omit<Wish, 'layout'>> = {}): Wish {
  const target = override.target ?? recipe.target;
  // What was chosen for one target need not be there for another.
  const granularity = override.granularity ?? (target === recipe.target ? recipe.granularity : 'auto');
  // A recipe has a size also where it asks for no blocks; an override only where somebody wants it.
  const blockSize = override.blockSize ?? (granularity === 'block' ? recipe.blockSize : undefined);
  return {
    layout: recipe.layout,
    target,
    granularity,
    ...(blockSize === undefined ? {} : { blockSize }),
    rounding: override.rounding ?? recipe.rounding,
  };
}

/** Throws EngineError InvalidRecipe. */
export function chooseEncoding(wish: Wish): Encoding {
  const { layout, target, rounding } = wish;
  const encoding = { target, granularity: granularityOf(wish) };
  if (!holds(layout, encoding)) throw refuse(`${FORMATS[layout].limits} ${insteadOf(wish, encoding)}`);
  if (rounding === 'tpec' && (target !== 'float8_e4m3fn' || encoding.granularity.kind !== 'tensor')) {
    throw refuse(
      `The rounding tpec knows float8_e4m3fn with one scale for the whole tensor only. Choose learned, which does the same better.`,
    );
  }
  return encoding;
}

function granularityOf({ layout, target, granularity, blockSize: [rows, columns] = DEFAULT_BLOCK_SIZE }: Wish): Granularity {
  const prescribed = TARGET_FACTS[target].block;
  if (prescribed !== undefined) {
    const block = { kind: 'block', ...prescribed } as const;
    if (granularity === 'auto') return block;
    if (granularity === 'block' && sameSize([rows, columns], DEFAULT_BLOCK_SIZE)) return block;
    if (granularity === 'block' && sameSize([rows, columns], [prescribed.rows, prescribed.columns])) return block;
    throw refuse(ownBlocks(target, block));
  }
  const kind = granularity === 'auto' ? (FORMATS[layout].holds[target]?.[0] ?? 'tensor') : granularity;
  return kind === 'block' ? { kind, rows, columns } : { kind };
}

/** What is asked for by itself, be it what a recipe has anyway. Throws EngineError InvalidRecipe where the target has blocks of its own. */
export function refuseBlockSize(target: Target, size: BlockSize | undefined): void {
  const problem = blockSizeProblem(target, size);
  if (problem !== undefined) throw refuse(problem);
}

/** A sentence; undefined where the target takes blocks of this size. */
export function blockSizeProblem(target: Target, size: BlockSize | undefined): string | undefined {
  const prescribed = TARGET_FACTS[target].block;
  if (prescribed === undefined || size === undefined || sameSize(size, [prescribed.rows, prescribed.columns])) return undefined;
  return ownBlocks(target, { kind: 'block', ...prescribed });
}

function ownBlocks(target: Target, block: Granularity): string {
  return `${target} has ${granularityText(block)} by definition. Leave the granularity at auto.`;
}

function sameSize(a: BlockSize, b: BlockSize): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function holds(layout: Layout, { target, granularity }: Encoding): boolean {
  return FORMATS[layout].holds[target]?.includes(granularity.kind) ?? false;
}

/** Which layouts are the most like each, for whoever reads them: those of the same loader, then those with the same names. */
const NEAREST: Readonly<Record<Layout, readonly Layout[]>> = {
  comfyui: ['comfyui-legacy', 'plain'],
  'comfyui-legacy': ['comfyui', 'plain'],
  'compressed-tensors': ['huggingface', 'plain'],
  huggingface: ['compressed-tensors', 'plain'],
  plain: [],
};

/** The nearest thing that can be had: another granularity in the same layout, the same in another layout, or another target. */
function insteadOf(wish: Wish, encoding: Encoding): string {
  const { layout } = wish;
  const { target } = encoding;
  // What `auto` stands for is another granularity in another layout.
  const others = NEAREST[layout].map((nearest) => ({ nearest, granularity: granularityOf({ ...wish, layout: nearest }) }));
  const other = others.find(({ nearest, granularity }) => holds(nearest, { target, granularity }));
  const elsewhere = other && `the layout ${other.nearest} for ${target} with ${granularityText(other.granularity)}`;
  const [best] = FORMATS[layout].holds[target] ?? [];
  const [nearestTarget = ''] = Object.keys(FORMATS[layout].holds);
  const here = best === undefined ? `the target ${nearestTarget}` : `granularity ${best}`;
  return `Choose ${[here, elsewhere].filter((choice) => choice !== undefined).join(', or ')}.`;
}

function refuse(message: string): EngineError {
  return new EngineError('InvalidRecipe', message);
}

/** For a line of a plan: `float8_e4m3fn`, `int8 row`, `float8_e4m3fn block:128x128`. */
export function encodingText({ target, granularity }: Encoding): string {
  return TARGET_FACTS[target].block !== undefined || (granularity.kind === 'tensor' && target !== 'int8')
    ? target
    : `${target} ${granularityName(granularity)}`;
}
