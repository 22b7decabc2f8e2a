/** What the plan warns of, above the table. */
import { element } from '../dom';
import { icon } from '../icons';

export function makeWarnings(warnings: readonly string[]): readonly HTMLElement[] {
  if (warnings.length === 0) return [];
  return [
    element(
      'ul',
      { class: 'warnings', aria: { label: 'Warnings' } },
      warnings.map((warning) => element('li', {}, [icon('warning'), element('span', { text: warning })])),
    ),
  ];
}
