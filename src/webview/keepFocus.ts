/** keepFocus: whoever works by keyboard is not thrown out of the page when the control under the focus goes or is switched off. */

/** Redraws `root`; where the focus was in it and is lost by that, it goes to the first of `next` that can take it. */
export function keepFocus(root: HTMLElement, redraw: () => void, next: () => readonly (HTMLElement | null | undefined)[]): void {
  const before = document.activeElement;
  const had = before !== null && root.contains(before);
  redraw();
  if (had && !canTake(before)) next().find(canTake)?.focus();
}

function canTake(target: Element | null | undefined): target is HTMLElement {
  return target instanceof HTMLElement && target.isConnected && !target.hasAttribute('disabled') && target.offsetParent !== null;
}
