/** The family that a header is recognised as, and its rules; found once for each header, because every change of a recipe plans again. */
import { familyRules, type FamilyRules } from '../families/familyRules';
import { recognise, type Recognition } from '../families/recognise';
import type { Header } from '../safetensors/header';

export interface ModelFamily {
  readonly recognition: Recognition;
  readonly rules: FamilyRules;
}

const known = new WeakMap<Header, ModelFamily>();

export function modelFamily(header: Header): ModelFamily {
  const found = known.get(header);
  if (found !== undefined) return found;
  const recognition = recognise(header);
  const family = { recognition, rules: familyRules(header, recognition) };
  known.set(header, family);
  return family;
}
