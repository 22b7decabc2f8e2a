/** The columns of the inventory: what each is called, how it sorts and what a row shows in it. */
import { formatBytes, formatInteger } from '../../base/format';
import { element, setText } from '../dom';
import type { ActionName, Order, RowView } from '../protocol/views';

export interface Column {
  readonly id: Exclude<Order['column'], 'file'>;
  readonly label: string;
  readonly align: 'start' | 'end';
  /** The order that people expect from the first press. */
  readonly firstDirection: Order['direction'];
}

export const COLUMNS: readonly Column[] = [
  { id: 'name', label: 'Name', align: 'start', firstDirection: 'ascending' },
  { id: 'dtype', label: 'Type', align: 'start', firstDirection: 'ascending' },
  { id: 'shape', label: 'Shape', align: 'end', firstDirection: 'descending' },
  { id: 'bytes', label: 'Size', align: 'end', firstDirection: 'descending' },
  { id: 'action', label: 'Planned action', align: 'start', firstDirection: 'ascending' },
];

export const ACTION_LABELS: Readonly<Record<ActionName, string>> = { quantize: 'Quantize', keep: 'Keep', remove: 'Remove' };

export interface RowCells {
  readonly root: HTMLElement;
  show(index: number, row: RowView | undefined): void;
}

/** One recyclable row. */
export function makeRow(): RowCells {
  const prefix = element('bdi');
  prefix.dir = 'ltr';
  const leaf = element('span', { class: 'name-leaf' });
  const name = element('div', { class: 'cell name', role: 'gridcell' }, [element('span', { class: 'name-path' }, [prefix]), leaf]);
  const dtype = element('div', { class: 'cell dtype', role: 'gridcell' });
  const shape = element('div', { class: 'cell shape end', role: 'gridcell' });
  const size = element('div', { class: 'cell size end', role: 'gridcell' });
  const verb = element('span', { class: 'verb' });
  const reason = element('span', { class: 'reason' });
  const action = element('div', { class: 'cell action', role: 'gridcell' }, [
    element('span', { class: 'mark', aria: { hidden: 'true' } }),
    verb,
    reason,
  ]);
  const root = element('div', { class: 'row', role: 'row' }, [name, dtype, shape, size, action]);

  return {
    root,
    show(index, row) {
      root.id = rowId(index);
      // The header row is row 1.
      root.setAttribute('aria-rowindex', String(index + 2));
      root.classList.toggle('loading', row === undefined);
      root.dataset['action'] = row?.action ?? '';
      const cut = (row?.name.lastIndexOf('.', row.name.length - 2) ?? -1) + 1;
      const withKind = cut > 0 ? (row?.name.lastIndexOf('.', cut - 2) ?? -1) + 1 : 0;
      setText(prefix, row?.name.slice(0, withKind) ?? '');
      setText(leaf, row?.name.slice(withKind) ?? '');
      name.title = row?.name ?? '';
      setText(dtype, row?.dtype ?? '');
      setText(shape, row?.shape ?? '');
      setText(size, row === undefined ? '' : formatBytes(row.bytes));
      size.title = row === undefined ? '' : `${formatInteger(row.bytes)} bytes`;
      setText(verb, row === undefined ? '' : ACTION_LABELS[row.action]);
      setText(reason, row?.reason ?? '');
      action.title = row === undefined ? '' : `${verbOf(row)}: ${row.reason}`;
    },
  };
}

export function rowId(index: number): string {
  return `row-${index}`;
}

function verbOf(row: RowView): string {
  return row.targetDtype === undefined ? ACTION_LABELS[row.action] : `${ACTION_LABELS[row.action]} to ${row.targetDtype}`;
}
