/** The line above the table: how many tensors and bytes each planned action takes. */
import { formatBytes, formatInteger } from '../../base/format';
import { element } from '../dom';
import type { ActionName, InventoryView } from '../protocol/views';
import { ACTION_LABELS } from './columns';

const ORDER: readonly ActionName[] = ['quantize', 'keep', 'remove'];

export function makeTotals(actions: InventoryView['actions']): HTMLElement {
  return element(
    'ul',
    { class: 'totals', aria: { label: 'Planned actions' } },
    ORDER.filter((action) => action !== 'remove' || actions.remove.tensors > 0).map((action) => {
      const item = element('li', {}, [
        element('span', { class: 'mark', aria: { hidden: 'true' } }),
        element('span', { class: 'total-label', text: ACTION_LABELS[action] }),
        element('span', { class: 'total-count', text: formatInteger(actions[action].tensors) }),
        element('span', { class: 'total-bytes', text: formatBytes(actions[action].bytes) }),
      ]);
      item.dataset['action'] = action;
      return item;
    }),
  );
}
