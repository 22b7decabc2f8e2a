/** foldedSections: what was remembered of the panel's sections. Pure. */
import type { SectionName } from '../../webview/protocol/panelApi';

const NAMES: readonly SectionName[] = ['format', 'rounding', 'statistics', 'tensors', 'overrides', 'output'];
/** What few people need is out of the way until somebody wants it. */
const AT_FIRST: readonly SectionName[] = ['statistics', 'tensors'];

/** Whatever an older version may have stored, the result can be used as it is. */
export function foldedSections(stored: unknown): readonly SectionName[] {
  return Array.isArray(stored) ? NAMES.filter((name) => stored.includes(name)) : AT_FIRST;
}
