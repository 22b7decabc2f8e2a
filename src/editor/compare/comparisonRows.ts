/** comparisonRows: compared tensors as the page's table asks for them: searched, sorted, a window at a time. Pure. */
import { formatShape } from '../../base/format';
import { nameFilter } from '../../base/nameFilter';
import type { ComparedTensor, CompareState } from '../../engine/inspect/compareEvent';
import type { ComparisonOrder, ComparisonRow, ComparisonRows, ComparisonRowsRequest } from '../../webview/protocol/comparisonApi';
import { compareKeys, naturalKey } from '../model/tensorOrder';

/** What is worth a look first. */
const STATE_RANK: Readonly<Record<CompareState, number>> = {
  removed: 0,
  reshaped: 1,
  added: 2,
  changed: 3,
  incomparable: 4,
  pending: 5,
  equal: 6,
};

export function comparisonRows(tensors: readonly ComparedTensor[], { order, search, start, end }: ComparisonRowsRequest): ComparisonRows {
  const filter = nameFilter(search);
  const found = filter.kind === 'some' ? tensors.filter(({ name }) => filter.matches(name, name.toLowerCase())) : tensors;
  const sorted = [...found].sort(comparing(order));
  return {
    count: sorted.length,
    rows: sorted.slice(Math.max(0, start), end).map(rowOf),
    ...(filter.kind === 'invalid' ? { problem: filter.problem } : {}),
  };
}

function comparing({ column, direction }: ComparisonOrder): (a: ComparedTensor, b: ComparedTensor) => number {
  const turn = direction === 'ascending' ? 1 : -1;
  const byName = (a: ComparedTensor, b: ComparedTensor): number => compareKeys(naturalKey(a.name), naturalKey(b.name));
  if (column === 'worst') {
    return (a, b) => STATE_RANK[a.state] - STATE_RANK[b.state] || (b.error?.relative ?? -1) - (a.error?.relative ?? -1) || byName(a, b);
  }
  if (column === 'name') return (a, b) => turn * byName(a, b);
  const key = keyOf(column);
  return (a, b) => {
    const [left, right] = [key(a), key(b)];
    // What has no such number comes last, whichever way the others are turned.
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined) || byName(a, b);
    return turn * compareKeys(left, right) || byName(a, b);
  };
}

function keyOf(column: Exclude<ComparisonOrder['column'], 'worst' | 'name'>): (tensor: ComparedTensor) => string | number | undefined {
  switch (column) {
    case 'dtype':
      return dtypes;
    case 'shape':
      return ({ reference, other }) => (reference ?? other)?.shape.reduce((product, size) => product * size, 1);
    case 'relative':
      return ({ error }) => error?.relative;
    case 'sqnr':
      return ({ error }) => error?.sqnrDecibels;
    case 'largest':
      return ({ error }) => error?.largest;
    case 'state':
      return ({ state }) => STATE_RANK[state];
  }
}

export function rowOf(tensor: ComparedTensor): ComparisonRow {
  const { name, state, reason, error } = tensor;
  return {
    name,
    state,
    dtypes: dtypes(tensor),
    shapes: both(tensor, ({ shape }) => formatShape(shape)),
    ...(error === undefined ? {} : { relativeError: error.relative, sqnrDecibels: error.sqnrDecibels, largestError: error.largest }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function dtypes(tensor: ComparedTensor): string {
  return both(tensor, ({ dtype }) => dtype);
}

function both({ reference, other }: ComparedTensor, text: (side: NonNullable<ComparedTensor['reference']>) => string): string {
  const [left, right] = [reference === undefined ? undefined : text(reference), other === undefined ? undefined : text(other)];
  return left === undefined || right === undefined || left === right ? (left ?? right ?? '') : `${left} → ${right}`;
}

/** RFC 4180; for spreadsheets and data frames. */
export function comparisonCsv(tensors: readonly ComparedTensor[]): string {
  const lines = tensors.map((tensor) => {
    const row = rowOf(tensor);
    const cells = [row.name, row.state, row.dtypes, row.shapes, row.relativeError, row.sqnrDecibels, row.largestError, row.reason];
    return cells.map((cell) => `"${String(cell ?? '').replaceAll('"', '""')}"`).join(',');
  });
  return `${['name,state,dtypes,shapes,relative_error,sqnr_db,largest_error,reason', ...lines].join('\n')}\n`;
}
