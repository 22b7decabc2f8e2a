import { expect, it } from 'vitest';
import { destination, meansRow } from '../../../src/webview/table/gridKeys';

it('moves the active row within the table', () => {
  const at = { active: 5, count: 100, page: 20 };
  expect(['ArrowDown', 'ArrowUp', 'PageDown', 'PageUp', 'Home', 'End', 'x'].map((key) => destination(key, at))).toEqual([
    6,
    4,
    25,
    0,
    0,
    99,
    undefined,
  ]);
  expect(destination('ArrowDown', { ...at, active: 99 })).toBe(99);
  expect(['ArrowDown', 'ArrowUp', 'PageDown', 'End'].map((key) => destination(key, { ...at, active: -1 }))).toEqual([0, 0, 20, 99]);
  expect(destination('Home', { active: -1, count: 0, page: 20 })).toBeUndefined();
});

it('tells keys that are about rows from those that are not', () => {
  expect(['ArrowRight', 'Enter', 'ContextMenu', 'F10'].every((key) => meansRow({ key, shiftKey: true }))).toBe(true);
  expect(['F10', 'Tab', 'Escape', 'c'].some((key) => meansRow({ key, shiftKey: false }))).toBe(false);
});
