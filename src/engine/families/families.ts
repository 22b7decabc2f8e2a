/** The table of all model families. A new family is a new entry here and a fixture of its names and shapes; no code knows one by name. */
import type { Family } from './family';
import { IMAGE_MODELS } from './table/imageModels';
import { LANGUAGE_MODELS } from './table/languageModels';
import { MORE_IMAGE_MODELS } from './table/moreImageModels';
import { OTHER_MODELS } from './table/otherModels';
import { AUTOENCODERS, TEXT_ENCODERS } from './table/textEncoders';
import { UNETS } from './table/unets';
import { VIDEO_MODELS } from './table/videoModels';

const TABLE = [
  ...IMAGE_MODELS,
  ...MORE_IMAGE_MODELS,
  ...UNETS,
  ...VIDEO_MODELS,
  ...OTHER_MODELS,
  ...TEXT_ENCODERS,
  ...LANGUAGE_MODELS,
  ...AUTOENCODERS,
] as const satisfies readonly Family[];

export type FamilyId = (typeof TABLE)[number]['id'];

export type KnownFamily = Family & { readonly id: FamilyId };

export const FAMILIES: readonly KnownFamily[] = TABLE;

export function familyOf(id: FamilyId): KnownFamily {
  const family = FAMILIES.find((candidate) => candidate.id === id);
  if (family === undefined) throw new Error(`no family "${id}"`);
  return family;
}
