/** The columns of a comparison, and what a row shows in each. */
import { formatPercent } from '../../base/format';
import { element, setText } from '../dom';
import type { CompareStateName, ComparisonColumn, ComparisonRow } from '../protocol/comparisonApi';
import type { SortColumn } from '../table/sortOrder';
import { makeNameText } from '../table/nameText';
import { splitName } from '../table/splitName';
import type { RowCells } from '../table/virtualTable';
import { formatValue } from '../tensor/numbers';

export const COLUMNS: readonly SortColumn<ComparisonColumn>[] = [
  { id: 'name', label: 'Name', align: 'start', firstDirection: 'ascending' },
  { id: 'dtype', label: 'Type', align: 'start', firstDirection: 'ascending' },
  { id: 'shape', label: 'Shape', align: 'end', firstDirection: 'descending' },
  { id: 'relative', label: 'Error', align: 'end', firstDirection: 'descending' },
  { id: 'sqnr', label: 'SQNR', align: 'end', firstDirection: 'ascending' },
  { id: 'largest', label: 'Largest error', align: 'end', firstDirection: 'descending' },
  { id: 'state', label: 'Difference', align: 'start', firstDirection: 'ascending' },
];

export const STATE_LABELS: Readonly<Record<CompareStateName, string>> = {
  changed: 'Changed',
  added: 'Added',
  removed: 'Removed',
  reshaped: 'Other shape',
  equal: 'Equal',
  incomparable: 'Not compared',
  pending: '…',
};

export function makeComparisonRow(): RowCells<ComparisonRow> {
  const cell = (name: string): HTMLElement => element('div', { class: `cell ${name}`, role: 'gridcell' });
  const name = cell('name');
  const text = makeNameText();
  name.append(...text.nodes);
  const dtypes = cell('dtype');
  const shapes = cell('shape end');
  const relative = cell('relative end');
  const sqnr = cell('sqnr end');
  const largest = cell('largest end');
  const words = element('span');
  const state = element('div', { class: 'cell state compare-state', role: 'gridcell' }, [
    element('span', { class: 'mark', aria: { hidden: 'true' } }),
    words,
  ]);
  const root = element('div', { class: 'row', role: 'row' }, [name, dtypes, shapes, relative, sqnr, largest, state]);
  return {
    root,
    show(row) {
      root.dataset['state'] = row?.state ?? '';
      text.show(...splitName(row?.name ?? ''));
      name.title = row?.name ?? '';
      setText(dtypes, row?.dtypes ?? '');
      dtypes.title = row?.dtypes ?? '';
      setText(shapes, row?.shapes ?? '');
      shapes.title = row?.shapes ?? '';
      setText(relative, row?.relativeError === undefined ? '' : row.relativeError === Infinity ? '∞' : formatPercent(row.relativeError));
      setText(sqnr, row?.sqnrDecibels === undefined ? '' : decibels(row.sqnrDecibels));
      setText(largest, row?.largestError === undefined ? '' : formatValue(row.largestError));
      setText(words, row === undefined ? '' : STATE_LABELS[row.state]);
      state.title = row?.reason ?? '';
    },
  };
}

function decibels(value: number): string {
  return value === Infinity ? '∞' : `${value.toFixed(1).replace('-', '−')} dB`;
}
