/** The button that opens and closes the panel stands elsewhere on the page: it asks by an event, and shows what the page says. */
import { button } from '../ui';

const EVENT = 'fp8-toggle-panel';
export const PANEL_ID = 'fp8-panel';

export function makeToggle(): HTMLElement {
  const toggle = button({
    label: 'Options',
    appearance: 'secondary',
    title: 'Show or hide what can be chosen for this conversion',
    onPress: () => toggle.dispatchEvent(new CustomEvent(EVENT, { bubbles: true })),
  });
  toggle.setAttribute('aria-controls', PANEL_ID);
  toggle.classList.add('panel-toggle');
  showExpanded(toggle);
  return toggle;
}

export function onToggle(page: HTMLElement, listener: () => void): void {
  page.addEventListener(EVENT, listener);
}

export function setPanelState(page: HTMLElement, state: 'open' | 'closed'): void {
  document.body.dataset['panel'] = state;
  for (const toggle of page.querySelectorAll<HTMLElement>('.panel-toggle')) showExpanded(toggle);
}

function showExpanded(toggle: HTMLElement): void {
  toggle.setAttribute('aria-expanded', String(document.body.dataset['panel'] === 'open'));
}
