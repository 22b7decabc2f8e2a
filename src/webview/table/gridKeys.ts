/** Which keys are about rows, and where they take the active one. Pure. */

const ROW_KEYS: readonly string[] = [
  ...['ArrowDown', 'ArrowUp', 'ArrowLeft', 'ArrowRight', 'PageDown', 'PageUp', 'Home', 'End'],
  ...['Enter', ' ', 'ContextMenu'],
];

/** Whether what a key does depends on the rows that are there. */
export function meansRow({ key, shiftKey }: { readonly key: string; readonly shiftKey: boolean }): boolean {
  return ROW_KEYS.includes(key) || (key === 'F10' && shiftKey);
}

/** `undefined` where the key means nothing here. From no active row (−1), every movement begins at the top. */
export function destination(
  key: string,
  at: { readonly active: number; readonly count: number; readonly page: number },
): number | undefined {
  const last = at.count - 1;
  if (last < 0) return undefined;
  const clamp = (index: number): number => Math.min(Math.max(index, 0), last);
  switch (key) {
    case 'ArrowDown':
      return clamp(at.active + 1);
    case 'ArrowUp':
      return clamp(at.active - 1);
    case 'PageDown':
      return clamp(Math.max(at.active, 0) + at.page);
    case 'PageUp':
      return clamp(at.active - at.page);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}
