/** ModelSeen: what a recognition says to people and programs: which model it is, where it begins, and what that was seen by. Pure. */
import { familyOf, type FamilyId } from './families';
import type { Recognition } from './recognise';

export interface ModelSeen {
  readonly family: FamilyId | 'unknown';
  /** `FLUX.1 with CLIP-L text encoder, …`, the main component first; absent where the family is unknown. */
  readonly title?: string;
  readonly naming: Recognition['naming'];
  /** What stands before the names of the main component. */
  readonly prefix: string;
  /** Sentences: why the family, or why none. */
  readonly evidence: readonly string[];
}

export function modelSeen({ family, naming, prefix, evidence, components }: Recognition): ModelSeen {
  if (family === 'unknown') return { family, naming, prefix, evidence };
  const [main = '', ...others] = components.map((component) => familyOf(component.family).title);
  return { family, title: others.length === 0 ? main : `${main} with ${others.join(', ')}`, naming, prefix, evidence };
}

/** One line: of the evidence all, or the first sentence. */
export function modelSeenText({ title, naming, prefix, evidence }: ModelSeen, detail: 'first reason' | 'every reason'): string {
  const reasons = (detail === 'every reason' ? evidence : evidence.slice(0, 1)).join(' ');
  if (title === undefined) return `unknown: ${reasons}`;
  return `${title}, ${naming} names${prefix === '' ? '' : `, under ${prefix}`} (seen: ${reasons.replace(/\.$/, '')})`;
}
