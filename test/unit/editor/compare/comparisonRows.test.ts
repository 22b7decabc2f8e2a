import { expect, it } from 'vitest';
import { comparisonRows } from '../../../../src/editor/compare/comparisonRows';
import type { ComparedTensor, CompareState } from '../../../../src/engine/inspect/compareEvent';
import type { ComparisonOrder } from '../../../../src/webview/protocol/comparisonApi';

const TENSORS: readonly ComparedTensor[] = [
  tensor('same', 'equal', 0),
  tensor('slightly', 'changed', 0.01),
  tensor('badly', 'changed', 0.4),
  { name: 'gone', state: 'removed', reference: { dtype: 'F32', shape: [2], bytes: 8 } },
  { name: 'new', state: 'added', other: { dtype: 'F32', shape: [2], bytes: 8 } },
];

it('shows first what is worth a look', () => {
  expect(names({ column: 'worst', direction: 'descending' })).toEqual(['gone', 'new', 'badly', 'slightly', 'same']);
});

it('sorts by a number, and leaves what has none to the end, whichever way', () => {
  expect(names({ column: 'relative', direction: 'descending' })).toEqual(['badly', 'slightly', 'same', 'gone', 'new']);
  expect(names({ column: 'relative', direction: 'ascending' })).toEqual(['same', 'slightly', 'badly', 'gone', 'new']);
});

it('searches like the inventory, and gives a window', () => {
  const { count, rows } = comparisonRows(TENSORS, { order: { column: 'name', direction: 'ascending' }, search: '*ly', start: 1, end: 5 });
  expect([count, rows.map(({ name }) => name)]).toEqual([2, ['slightly']]);
});

function names(order: ComparisonOrder): readonly string[] {
  return comparisonRows(TENSORS, { order, search: '', start: 0, end: 99 }).rows.map(({ name }) => name);
}

function tensor(name: string, state: CompareState, relative: number): ComparedTensor {
  const side = { dtype: 'F32', shape: [2], bytes: 8 } as const;
  return {
    name,
    state,
    reference: side,
    other: side,
    error: { relative, sqnrDecibels: -20 * Math.log10(relative), largest: relative, nonFiniteCount: 0 },
  };
}
