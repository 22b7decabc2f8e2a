/** Offer: what a field can be set to, with its line of help. Pure. */

export interface Offer<Value extends string> {
  readonly value: Value;
  readonly label: string;
  readonly help: string;
}

export function helpOf<Value extends string>(offers: readonly Offer<Value>[], value: Value): string {
  return offers.find((offer) => offer.value === value)?.help ?? '';
}

export function labelOf<Value extends string>(offers: readonly Offer<Value>[], value: Value): string {
  return offers.find((offer) => offer.value === value)?.label ?? value;
}
