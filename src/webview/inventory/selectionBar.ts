/** The bar for what is selected: how much it is, and what can be done with all of it. Shown from two tensors on. */
import { formatBytes, formatCount, formatQuantity } from '../../base/format';
import { element, setText } from '../dom';
import type { SelectionView } from '../protocol/inventoryApi';
import type { ActionName } from '../protocol/views';
import { ACTION_LABELS, ACTIONS } from './columns';
import { tool } from './toolbar';

export interface SelectionBarEvents {
  onCopy(): void;
  onOverride(action: ActionName | 'reset'): void;
  onClear(): void;
}

export interface SelectionBar {
  readonly root: HTMLElement;
  /** `undefined` hides it. */
  show(selection: SelectionView | undefined): void;
  showProblem(problem: string | undefined): void;
}

export function makeSelectionBar(events: SelectionBarEvents): SelectionBar {
  const words = element('span', { class: 'selection-words', role: 'status' });
  const problem = element('span', { class: 'selection-problem', role: 'alert' });
  const root = element('div', { class: 'selection-bar', role: 'toolbar', aria: { label: 'Selection' } }, [
    words,
    tool('copy', 'Copy the names, one a line (Ctrl+C)', () => events.onCopy()),
    element('span', { class: 'selection-overrides', role: 'group', aria: { label: 'Override the planned action' } }, [
      ...ACTIONS.map((action) =>
        press(ACTION_LABELS[action], `${ACTION_LABELS[action]} whatever the rules say`, () => events.onOverride(action)),
      ),
      press('As Planned', 'Take back what was decided for these', () => events.onOverride('reset')),
    ]),
    tool('close', 'Select nothing (Escape)', () => events.onClear()),
    problem,
  ]);
  root.hidden = true;
  return {
    root,
    show(selection) {
      root.hidden = selection === undefined;
      if (selection === undefined) {
        setText(problem, '');
        return;
      }
      const { tensors, bytes, parameters } = selection;
      setText(words, `${formatQuantity(tensors, 'tensor')} · ${formatBytes(bytes)}`);
      words.title = `${formatCount(parameters)} parameters`;
    },
    showProblem(text) {
      setText(problem, text ?? '');
    },
  };
}

function press(label: string, title: string, onPress: () => void): HTMLElement {
  const button = element('button', { class: 'link', text: label, title });
  button.type = 'button';
  button.addEventListener('click', onPress);
  return button;
}
