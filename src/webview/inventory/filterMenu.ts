/** The filter's menu: one group of check boxes for each property; what is checked shows as chips, each with a way to take it back. */
import { formatInteger } from '../../base/format';
import { element } from '../dom';
import { icon } from '../icons';
import { NO_FILTERS, SIZE_CLASSES, type Filters, type SizeClass } from '../protocol/query';
import type { InventoryView } from '../protocol/views';
import { ACTION_LABELS, ACTIONS } from './columns';

interface Choice {
  readonly key: keyof Filters;
  readonly value: string | number;
  readonly label: string;
  readonly tensors: number;
}

export interface FilterMenu {
  readonly button: HTMLElement;
  readonly popup: HTMLElement;
  readonly chips: HTMLElement;
  showFile(view: InventoryView): void;
  show(filters: Filters): void;
}

const TITLES: Readonly<Record<keyof Filters, string>> = {
  dtypes: 'Type',
  actions: 'Planned action',
  deciders: 'Decided by',
  ranks: 'Dimensions',
  sizes: 'Size',
};

export function makeFilterMenu(onFilter: (filters: Filters) => void): FilterMenu {
  let choices: readonly Choice[] = [];
  let current = NO_FILTERS;
  const count = element('span', { class: 'badge' });
  const button = element('button', { class: 'tool', title: 'Filter', aria: { haspopup: 'dialog', expanded: 'false' } }, [
    icon('filter'),
    element('span', { class: 'tool-label', text: 'Filter' }),
    count,
  ]);
  button.type = 'button';
  const popup = element('div', { class: 'popup', role: 'dialog', aria: { label: 'Filters' } });
  popup.hidden = true;
  const chips = element('div', { class: 'chips', role: 'group', aria: { label: 'Filters in use' } });

  const setState = (state: 'open' | 'closed'): void => {
    popup.hidden = state === 'closed';
    button.setAttribute('aria-expanded', String(state === 'open'));
    if (state === 'open') popup.querySelector<HTMLElement>('input')?.focus();
  };
  button.addEventListener('click', () => setState(popup.hidden ? 'open' : 'closed'));
  popup.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    setState('closed');
    button.focus();
    event.stopPropagation();
  });
  document.addEventListener('mousedown', (event) => {
    const inside = event.target instanceof Node && (popup.contains(event.target) || button.contains(event.target));
    if (!inside && !popup.hidden) setState('closed');
  });
  popup.addEventListener('focusout', (event) => {
    const next = event.relatedTarget;
    if (next instanceof Node && !popup.contains(next) && next !== button) setState('closed');
  });

  const draw = (): void => {
    // What is filtered for can be taken back, also where no tensor is like that any more.
    const shown = choices.filter((choice) => choice.tensors > 0 || isOn(current, choice));
    const active = shown.filter((choice) => isOn(current, choice));
    count.textContent = active.length === 0 ? '' : String(active.length);
    popup.replaceChildren(...groups(shown, current, (choice) => onFilter(toggled(current, choice))));
    const place = [...chips.children].findIndex((chip) => chip === document.activeElement);
    chips.replaceChildren(
      ...active.map((choice) => {
        const chip = element('button', { class: 'chip', title: 'Remove this filter' }, [
          element('span', { text: `${TITLES[choice.key]}: ${choice.label}` }),
          icon('close'),
        ]);
        chip.type = 'button';
        chip.addEventListener('click', () => onFilter(toggled(current, choice)));
        return chip;
      }),
      ...(active.length > 1 ? [clearAll(() => onFilter(NO_FILTERS))] : []),
    );
    chips.hidden = active.length === 0;
    // Whoever took a filter back by keyboard comes to the one that is there now.
    if (place >= 0) (chips.querySelectorAll<HTMLElement>('.chip')[Math.min(place, active.length - 1)] ?? button).focus();
  };

  return {
    button,
    popup,
    chips,
    showFile(view) {
      choices = choicesOf(view);
      draw();
    },
    show(filters) {
      // As it is with every key of a search.
      if (filters === current) return;
      const focused =
        document.activeElement instanceof HTMLInputElement && popup.contains(document.activeElement) ? document.activeElement.id : '';
      current = filters;
      draw();
      if (focused !== '') document.getElementById(focused)?.focus();
    },
  };
}

function clearAll(onPress: () => void): HTMLElement {
  const made = element('button', { class: 'chips-clear link', text: 'Clear All', title: 'Remove all filters' });
  made.type = 'button';
  made.addEventListener('click', onPress);
  return made;
}

function choicesOf(view: InventoryView): readonly Choice[] {
  return [
    ...view.dtypes.map(({ dtype, tensors }): Choice => ({ key: 'dtypes', value: dtype, label: dtype, tensors })),
    ...ACTIONS.map((action): Choice => ({
      key: 'actions',
      value: action,
      label: ACTION_LABELS[action],
      tensors: view.actions?.[action].tensors ?? 0,
    })),
    ...deciderChoices(view),
    ...view.ranks.map(({ value, tensors }): Choice => ({ key: 'ranks', value, label: value === 0 ? 'Scalar' : `${value}-D`, tensors })),
    ...SIZE_CLASSES.map(({ id, label }): Choice => ({
      key: 'sizes',
      value: id,
      label,
      tensors: view.sizes.find(({ value }) => value === id)?.tensors ?? 0,
    })),
  ];
}

/** A choice only where both are there. */
function deciderChoices({ overridden = 0, tensorCount }: InventoryView): readonly Choice[] {
  const others = overridden === 0 ? 0 : tensorCount - overridden;
  return [
    { key: 'deciders', value: 'override', label: 'Overrides', tensors: overridden },
    { key: 'deciders', value: 'rules', label: 'Rules', tensors: others },
  ];
}

function groups(choices: readonly Choice[], current: Filters, onToggle: (choice: Choice) => void): readonly HTMLElement[] {
  const keys = (Object.keys(TITLES) as readonly (keyof Filters)[]).filter((key) => choices.some((choice) => choice.key === key));
  return keys.map((key) =>
    element('fieldset', {}, [
      element('legend', { text: TITLES[key] }),
      ...choices
        .filter((choice) => choice.key === key)
        .map((choice) => {
          const box = element('input', { id: `filter-${key}-${choice.value}` });
          box.type = 'checkbox';
          box.checked = isOn(current, choice);
          box.addEventListener('change', () => onToggle(choice));
          return element('label', {}, [
            box,
            element('span', { text: choice.label }),
            element('span', { class: 'dim', text: formatInteger(choice.tensors) }),
          ]);
        }),
    ]),
  );
}

function isOn(filters: Filters, { key, value }: Choice): boolean {
  const values: readonly (string | number)[] = filters[key];
  return values.includes(value);
}

export function toggled(filters: Filters, { key, value }: Pick<Choice, 'key' | 'value'>): Filters {
  const flip = <T>(values: readonly T[], one: T): readonly T[] =>
    values.includes(one) ? values.filter((v) => v !== one) : [...values, one];
  switch (key) {
    case 'dtypes':
      return { ...filters, dtypes: flip(filters.dtypes, String(value)) };
    case 'actions':
      return { ...filters, actions: flip(filters.actions, value as Filters['actions'][number]) };
    case 'deciders':
      return { ...filters, deciders: flip(filters.deciders, value as Filters['deciders'][number]) };
    case 'ranks':
      return { ...filters, ranks: flip(filters.ranks, Number(value)) };
    case 'sizes':
      return { ...filters, sizes: flip(filters.sizes, value as SizeClass) };
  }
}
