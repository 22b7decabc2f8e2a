/** openMenu: a context menu in the page, driven by pointer or keyboard, in the colours of the editor's own menus. */
import { element } from './dom';

export interface MenuItem {
  readonly label: string;
  /** The keys that do the same. */
  readonly keys?: string;
  readonly onPress: () => void;
}

export type MenuEntry = MenuItem | 'separator';

export interface MenuPlace {
  readonly x: number;
  readonly y: number;
}

const MARGIN = 4;
let close: (() => void) | undefined;

/** One menu is open at a time. The focus goes back to where it was. */
export function openMenu(label: string, entries: readonly MenuEntry[], at: MenuPlace): void {
  close?.();
  const before = document.activeElement;
  const root = element('div', { class: 'menu', role: 'menu', aria: { label } });
  const items = entries.flatMap((entry) => {
    if (entry === 'separator') {
      root.append(element('div', { class: 'menu-separator', role: 'separator' }));
      return [];
    }
    const item = menuItem(entry);
    item.addEventListener('click', () => {
      finish();
      entry.onPress();
    });
    item.addEventListener('mousemove', () => item.focus());
    root.append(item);
    return [item];
  });

  const finish = (): void => {
    if (close !== finish) return;
    close = undefined;
    for (const [target, name] of OUTSIDE) target.removeEventListener(name, onOutside, true);
    root.remove();
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  };
  const onOutside = (event: Event): void => {
    if (event.target instanceof Node && root.contains(event.target)) return;
    // Elements lose the focus to the menu itself.
    if (event.type === 'blur' && event.target !== window) return;
    finish();
  };
  close = finish;
  root.addEventListener('contextmenu', (event) => event.preventDefault());
  root.addEventListener('keydown', (event) => {
    const focused = items.findIndex((item) => item === document.activeElement);
    const next = destination(event.key, { focused, count: items.length, labels: items.map(({ textContent }) => textContent) });
    if (next !== undefined) items[next]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') finish();
    else if (event.key !== 'Enter' && event.key !== ' ') return;
    else items[focused]?.click();
    event.preventDefault();
    event.stopPropagation();
  });
  for (const [target, name] of OUTSIDE) target.addEventListener(name, onOutside, true);
  document.body.append(root);
  place(root, at);
  items[0]?.focus({ preventScroll: true });
}

const OUTSIDE: readonly (readonly [target: EventTarget, event: string])[] = [
  [document, 'mousedown'],
  [document, 'wheel'],
  [window, 'blur'],
  [window, 'resize'],
];

function menuItem({ label, keys }: MenuItem): HTMLButtonElement {
  const item = element('button', { class: 'menu-item', role: 'menuitem' }, [
    element('span', { text: label }),
    ...(keys === undefined ? [] : [element('span', { class: 'menu-keys', text: keys, aria: { hidden: 'true' } })]),
  ]);
  item.type = 'button';
  item.tabIndex = -1;
  if (keys !== undefined) item.setAttribute('aria-keyshortcuts', keys.replace('Ctrl', 'Control'));
  return item;
}

/** Inside the page, whatever corner it was asked for in. */
function place(root: HTMLElement, { x, y }: MenuPlace): void {
  const { width, height } = root.getBoundingClientRect();
  const within = (wanted: number, size: number, room: number): number => Math.max(MARGIN, Math.min(wanted, room - size - MARGIN));
  root.style.left = `${within(x, width, document.documentElement.clientWidth)}px`;
  root.style.top = `${within(y, height, document.documentElement.clientHeight)}px`;
}

/** Where a key takes the focus: around the ends, and to the next item that begins with a letter. */
function destination(
  key: string,
  { focused, count, labels }: { readonly focused: number; readonly count: number; readonly labels: readonly (string | null)[] },
): number | undefined {
  switch (key) {
    case 'ArrowDown':
      return (focused + 1) % count;
    case 'ArrowUp':
      return (focused - 1 + count) % count;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default: {
      if (key.length !== 1 || key === ' ') return undefined;
      const after = Array.from({ length: count }, (_, step) => (focused + 1 + step) % count);
      return after.find((index) => labels[index]?.toLowerCase().startsWith(key.toLowerCase()));
    }
  }
}
