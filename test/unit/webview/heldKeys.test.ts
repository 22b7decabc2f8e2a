import { expect, it } from 'vitest';
import { HeldKeys } from '../../../src/webview/table/heldKeys';

it('lets keys wait for the rows that they mean, then does what they do, in their order', async () => {
  const pressed: string[] = [];
  const arrivals: (() => void)[] = [];
  const rows = (): Promise<void> => new Promise((resolve) => arrivals.push(resolve));
  const keys = new HeldKeys<string>((key) => {
    pressed.push(key);
    // As the arrow to the right does, which opens a group.
    if (key === '→') keys.hold(rows());
  });
  const type = (...typed: readonly string[]): void => {
    for (const key of typed) if (!keys.take(key)) pressed.push(key);
  };
  const arrive = async (): Promise<void> => {
    arrivals.shift()?.();
    await Promise.resolve();
  };

  type('↓');
  keys.hold(rows());
  type('↓', '→', '↓', '↓');
  expect(pressed).toEqual(['↓']);
  await arrive();
  expect(pressed).toEqual(['↓', '↓', '→']);
  await arrive();
  expect(pressed).toEqual(['↓', '↓', '→', '↓', '↓']);
  type('↑');
  expect(pressed.at(-1)).toBe('↑');
});

it('lets keys wait for the last of several, and not for what will not come', async () => {
  const pressed: string[] = [];
  const keys = new HeldKeys<string>((key) => pressed.push(key));
  let fail = (): void => undefined;
  const last = new Promise<void>((_, reject) => (fail = () => reject(new Error('gone'))));
  keys.hold(Promise.resolve());
  keys.hold(last);
  keys.take('↓');
  await Promise.resolve();
  expect(pressed).toEqual([]);
  fail();
  await last.catch(() => undefined);
  expect(pressed).toEqual(['↓']);
});
