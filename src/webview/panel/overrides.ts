/** The panel's overrides: the list in the order in which they count, and the way to add one by a pattern. */
import { formatQuantity } from '../../base/format';
import { element, setText } from '../dom';
import { keepFocus } from '../keepFocus';
import type { OverrideRequest, OverrideView } from '../protocol/panelApi';
import type { ActionName } from '../protocol/views';
import { button, dropdown, textField } from '../ui';

const VERBS: Readonly<Record<ActionName, string>> = { quantize: 'Quantize', keep: 'Keep', remove: 'Remove' };

/** More are in the recipe file; a list of thousands helps nobody. */
const SHOWN = 100;

export interface OverridesSection {
  readonly root: HTMLElement;
  show(overrides: readonly OverrideView[]): void;
}

export interface OverrideEvents {
  /** Resolves with a sentence where the pattern cannot be used. */
  readonly onOverride: (request: OverrideRequest) => Promise<string | undefined>;
  readonly onResetAll: () => void;
}

export function makeOverrides({ onOverride, onResetAll }: OverrideEvents): OverridesSection {
  const list = element('ul', { class: 'overrides-list', aria: { label: 'Overrides' } });
  const problem = element('p', { class: 'overrides-problem', role: 'alert' });
  let action: ActionName = 'keep';
  const pattern = textField({
    label: 'Pattern',
    placeholder: '*.mlp.* or /regex/',
    describedBy: 'help-overrides',
    onChoose: () => undefined,
  });
  const verb = dropdown(
    { label: 'Action', onChoose: (value) => (action = value as ActionName) },
    (Object.keys(VERBS) as readonly ActionName[]).map((value) => ({ value, label: VERBS[value] })),
  );
  verb.show(action);
  const add = async (): Promise<void> => {
    if (pattern.value === '') return;
    const refused = await onOverride({ target: { pattern: pattern.value }, action });
    setText(problem, refused ?? '');
    if (refused === undefined) (pattern.root as HTMLInputElement).value = '';
  };
  pattern.root.addEventListener('input', () => setText(problem, ''));
  pattern.root.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') void add();
  });
  const help = element('p', {
    class: 'field-help',
    id: 'help-overrides',
    text: 'By pattern here, or for tensors selected in the table. The last that matches counts.',
  });
  const row = element('div', { class: 'override-row' }, [
    pattern.root,
    verb.root,
    button({ label: 'Add', appearance: 'secondary', onPress: () => void add() }),
  ]);
  const resetAll = button({ label: 'Reset All Overrides', appearance: 'secondary', onPress: onResetAll });
  resetAll.classList.add('overrides-reset-all');
  const root = element('div', { class: 'overrides' }, [list, row, problem, help, resetAll]);
  let count = 0;
  return {
    root,
    show(overrides) {
      const shown = overrides.slice(-SHOWN);
      const items = shown.map((override) =>
        item(override, () => void onOverride({ target: { pattern: override.match }, action: 'reset' })),
      );
      const hidden = overrides.length - shown.length;
      const resets = (): readonly HTMLElement[] => [...list.querySelectorAll<HTMLElement>('.override-reset')];
      const place = resets().findIndex((reset) => reset === document.activeElement);
      keepFocus(
        root,
        () => {
          const earlier = hidden > 0 ? [element('li', { class: 'dim', text: formatQuantity(hidden, 'earlier one') })] : [];
          list.replaceChildren(...earlier, ...items);
          list.hidden = overrides.length === 0;
          resetAll.hidden = overrides.length < 2;
        },
        () => [resets().at(Math.min(place, resets().length - 1)), pattern.root],
      );
      // The one that was added last counts most.
      if (overrides.length > count) list.scrollTop = list.scrollHeight;
      count = overrides.length;
    },
  };
}

function item({ match, kind, action, tensors }: OverrideView, onReset: () => void): HTMLElement {
  const remove = element('button', { class: 'override-reset', text: '×', title: 'Reset', aria: { label: `Reset the override ${match}` } });
  remove.type = 'button';
  remove.addEventListener('click', onReset);
  // Of a name it goes without saying, unless another override decides.
  const count = kind === 'name' && tensors === 1 ? undefined : formatQuantity(tensors, 'tensor');
  const made = element('li', {}, [
    element('span', { class: 'mark', aria: { hidden: 'true' } }),
    element('span', { class: 'override-verb', text: VERBS[action] }),
    element('span', { class: 'override-what' }, [
      element('span', { class: 'override-match', title: match }, breakable(match)),
      count === undefined ? undefined : element('span', { class: 'dim', text: count }),
    ]),
    remove,
  ]);
  made.dataset['action'] = action;
  return made;
}

/** A name tells tensors apart by any of its parts: it goes on in the next line, after a dot where it can. */
function breakable(match: string): readonly (string | HTMLElement)[] {
  return match.split(/(?<=\.)/).flatMap((part) => [part, element('wbr')]);
}
