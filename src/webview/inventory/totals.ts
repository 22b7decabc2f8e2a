/** The line above the table: how many tensors and bytes each planned action takes. Pressing one shows only its tensors. */
import { formatBytes, formatInteger } from '../../base/format';
import { element } from '../dom';
import type { ActionName, InventoryView } from '../protocol/views';
import { ACTION_LABELS, ACTIONS } from './columns';

export interface Totals {
  readonly root: HTMLElement;
  showFile(actions: NonNullable<InventoryView['actions']>): void;
  /** Which are filtered for. */
  show(actions: readonly ActionName[]): void;
}

export function makeTotals(onToggle: (action: ActionName) => void): Totals {
  const root = element('ul', { class: 'totals', aria: { label: 'Planned actions' } });
  const buttons = new Map<ActionName, HTMLButtonElement>();
  let pressed: readonly ActionName[] = [];
  const showPressed = (): void => {
    for (const [action, button] of buttons) button.setAttribute('aria-pressed', String(pressed.includes(action)));
  };
  return {
    root,
    showFile(actions) {
      buttons.clear();
      root.replaceChildren(
        ...ACTIONS.filter((action) => actions[action].tensors > 0 || pressed.includes(action)).map((action) => {
          const button = element('button', { class: 'total', title: `Show only what is to ${ACTION_LABELS[action].toLowerCase()}` }, [
            element('span', { class: 'mark', aria: { hidden: 'true' } }),
            element('span', { class: 'total-label', text: ACTION_LABELS[action] }),
            element('span', { class: 'total-count', text: formatInteger(actions[action].tensors) }),
            element('span', { class: 'total-bytes', text: formatBytes(actions[action].bytes) }),
          ]);
          button.type = 'button';
          button.dataset['action'] = action;
          button.addEventListener('click', () => onToggle(action));
          buttons.set(action, button);
          return element('li', {}, [button]);
        }),
      );
      showPressed();
    },
    show(actions) {
      pressed = actions;
      showPressed();
    },
  };
}
