import { describe, expect, it } from 'vitest';
import type { RowView } from '../../../src/webview/protocol/views';
import { PAGE_ROWS, RowSource } from '../../../src/webview/table/rowSource';

describe('RowSource', () => {
  it('asks for each page once and shows it when it has come', async () => {
    const { source, asked, arrived } = setUp();
    source.want(0, 60);
    source.want(10, PAGE_ROWS);
    expect(source.row(0)).toBeUndefined();
    await settled();
    expect(asked).toEqual([[0, PAGE_ROWS]]);
    expect(arrived()).toBe(1);
    expect(source.row(59)?.tensor).toBe(59);
  });

  it('holds a few screens of rows, however far one scrolls', async () => {
    const { source } = setUp();
    for (let start = 0; start < 20_000; start += 100) source.want(start, start + 60);
    await settled();
    const held = Array.from({ length: 20_000 }, (_, index) => source.row(index)).filter((row) => row !== undefined);
    expect(held.length).toBeLessThanOrEqual(16 * PAGE_ROWS);
    expect(source.row(19_950)?.tensor).toBe(19_950);
  });

  it('asks for no page that it was given', async () => {
    const asked: number[] = [];
    const source = new RowSource<RowView>(
      async (start) => {
        asked.push(start);
        return [];
      },
      () => undefined,
      [row(0)],
    );
    source.want(0, PAGE_ROWS + 2);
    await settled();
    expect(asked).toEqual([PAGE_ROWS]);
    expect(source.row(0)?.tensor).toBe(0);
  });

  it('asks again for a page that did not come, and takes nothing after its end', async () => {
    let failures = 1;
    const { source, asked, arrived } = setUp(() => failures-- > 0);
    source.want(0, 10);
    await settled();
    source.want(0, 10);
    await settled();
    expect(asked).toHaveLength(2);
    source.want(200, 210);
    source.dispose();
    await settled();
    expect([source.row(0), source.row(200), arrived()]).toEqual([undefined, undefined, 1]);
  });
});

function setUp(fails: () => boolean = () => false): {
  source: RowSource<RowView>;
  asked: (readonly [number, number])[];
  arrived: () => number;
} {
  const asked: (readonly [number, number])[] = [];
  let arrivals = 0;
  const source = new RowSource<RowView>(
    async (start, end) => {
      asked.push([start, end]);
      if (fails()) throw new Error('lost');
      return Array.from({ length: end - start }, (_, i) => row(start + i));
    },
    () => arrivals++,
  );
  return { source, asked, arrived: () => arrivals };
}

function row(tensor: number): RowView {
  return { tensor, name: `t${tensor}`, dtype: 'F16', shape: '2 × 2', bytes: 8, action: 'keep', reason: 'tiny' };
}

/** Once everything that can go on by itself has done so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
