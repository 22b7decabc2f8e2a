/** What the quality benchmark compares: each variant is a name and the options that `fp8 convert` gets. */

export interface Variant {
  readonly name: string;
  readonly convertOptions: readonly string[];
}

/** Every other variant is divided by this one. */
export const NEAREST: Variant = { name: 'nearest', convertOptions: ['--rounding', 'nearest'] };

export const LEARNED: Variant = { name: 'learned', convertOptions: ['--rounding', 'learned', '--top_k', 'full'] };

export const DEFAULT_VARIANTS: readonly Variant[] = [
  NEAREST,
  LEARNED,
  { name: 'learned, top_k 64', convertOptions: ['--rounding', 'learned', '--top_k', '64'] },
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
