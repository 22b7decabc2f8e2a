/** What the quality benchmark compares: each variant is a name and the options that `fp8 convert` gets. */

export interface Variant {
  readonly name: string;
  readonly convertOptions: readonly string[];
  /** KL ÷ KL of nearest that is promised. A prototype of the method reached 0.55 by gram and 0.43 by gram on both sides. */
  readonly largestRatio?: number;
}

/** Every other variant is divided by this one. */
export const NEAREST: Variant = { name: 'nearest', convertOptions: ['--rounding', 'nearest'] };

const GRAM = ['--rounding', 'learned', '--statistics', 'gram'] as const;
const PROPAGATED = ['--rounding', 'learned', '--statistics', 'propagated'] as const;

export const LEARNED: Variant = { name: 'gram', convertOptions: [...GRAM, '--sides', 'input'], largestRatio: 0.58 };

/** The best that is done with nothing but the weights, and what is done by default on the CPU. */
const DEFAULT: Variant = {
  name: 'propagated, both sides',
  convertOptions: [...PROPAGATED, '--sides', 'both'],
  largestRatio: 0.44,
};

export const DEFAULT_VARIANTS: readonly Variant[] = [
  NEAREST,
  LEARNED,
  { name: 'gram, both sides', convertOptions: [...GRAM, '--sides', 'both'], largestRatio: 0.46 },
  { name: 'propagated', convertOptions: [...PROPAGATED, '--sides', 'input'] },
  DEFAULT,
  { name: 'gram, top_k 64', convertOptions: [...GRAM, '--sides', 'input', '--top_k', '64'] },
  { name: 'tpec', convertOptions: ['--rounding', 'tpec'] },
];

/** Parses `NAME=OPTIONS`, e.g. `few sweeps=--rounding learned --num_iter 1`. Throws where there is no name. */
export function parseVariant(text: string): Variant {
  const separator = text.indexOf('=');
  const name = text.slice(0, Math.max(separator, 0)).trim();
  if (name === '') throw new Error(`A variant is NAME=OPTIONS; got "${text}".`);
  const options = text.slice(separator + 1).trim();
  return { name, convertOptions: options === '' ? [] : options.split(/\s+/) };
}
