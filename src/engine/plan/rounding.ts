/** Rounding: how a weight becomes a code. */
export type Rounding = 'learned' | 'tpec' | 'nearest';
