/** The columns of the inventory: what each is called, how it sorts and what a row shows in it. */
import { formatBytes, formatInteger, formatQuantity } from '../../base/format';
import { element, setText } from '../dom';
import { icon } from '../icons';
import type { GroupRow, TableRow, TensorRow } from '../protocol/query';
import type { ActionName, Order } from '../protocol/views';
import { makeNameText } from '../table/nameText';
import { splitName } from '../table/splitName';
import type { SortColumn } from '../table/sortOrder';
import type { RowCells } from '../table/virtualTable';

export const COLUMNS: readonly SortColumn<Order['column']>[] = [
  { id: 'name', label: 'Name', align: 'start', firstDirection: 'ascending' },
  { id: 'dtype', label: 'Type', align: 'start', firstDirection: 'ascending' },
  { id: 'shape', label: 'Shape', align: 'end', firstDirection: 'descending' },
  { id: 'bytes', label: 'Size', align: 'end', firstDirection: 'descending' },
  { id: 'action', label: 'Planned action', align: 'start', firstDirection: 'ascending' },
];

export const ACTION_LABELS: Readonly<Record<ActionName, string>> = { quantize: 'Quantize', keep: 'Keep', remove: 'Remove' };
export const ACTIONS: readonly ActionName[] = ['quantize', 'keep', 'remove'];

/** What a press on the arrow of a group is about. */
export const TWISTIE = 'twistie';

interface Cells {
  readonly path: string;
  readonly leaf: string;
  readonly title: string;
  readonly dtype: string;
  readonly shape: string;
  readonly bytes: number | undefined;
  readonly action: ActionName | 'mixed' | '';
  readonly verb: string;
  /** About the mark of overrides; empty where none decides. */
  readonly overridden: string;
  readonly reason: string;
}

export function makeInventoryRow(): RowCells<TableRow> {
  const text = makeNameText();
  const twistie = element('span', { class: TWISTIE, aria: { hidden: 'true' } }, [icon('chevron')]);
  const name = element('div', { class: 'cell name', role: 'gridcell' }, [twistie, ...text.nodes]);
  const dtype = element('div', { class: 'cell dtype', role: 'gridcell' });
  const shape = element('div', { class: 'cell shape end', role: 'gridcell' });
  const size = element('div', { class: 'cell size end', role: 'gridcell' });
  const verb = element('span', { class: 'verb' });
  const overridden = element('span', { class: 'overridden', role: 'img' }, [icon('pencil')]);
  const reason = element('span', { class: 'reason' });
  const action = element('div', { class: 'cell action', role: 'gridcell' }, [
    element('span', { class: 'mark', aria: { hidden: 'true' } }),
    verb,
    overridden,
    reason,
  ]);
  const root = element('div', { class: 'row', role: 'row' }, [name, dtype, shape, size, action]);

  const show = (cells: Cells): void => {
    text.show(cells.path, cells.leaf);
    name.title = cells.title;
    setText(dtype, cells.dtype);
    dtype.title = cells.dtype;
    setText(shape, cells.shape);
    setText(size, cells.bytes === undefined ? '' : formatBytes(cells.bytes));
    size.title = cells.bytes === undefined ? '' : `${formatInteger(cells.bytes)} bytes`;
    root.dataset['action'] = cells.action;
    setText(verb, cells.verb);
    setText(reason, cells.reason);
    overridden.hidden = cells.overridden === '';
    if (!overridden.hidden) overridden.setAttribute('aria-label', cells.overridden);
    const title = cells.action === 'mixed' || cells.verb === '' ? cells.reason : `${cells.verb}: ${cells.reason}`;
    action.title = cells.overridden === '' ? title : `${title} (${cells.overridden.toLowerCase()})`;
  };

  return {
    root,
    show(row) {
      root.dataset['kind'] = row?.kind ?? '';
      root.style.setProperty('--fp8-depth', String(row?.depth ?? 0));
      if (row?.kind === 'group') {
        root.setAttribute('aria-expanded', String(row.state === 'expanded'));
        root.setAttribute('aria-level', String(row.depth + 1));
        show(groupCells(row));
      } else {
        root.removeAttribute('aria-expanded');
        if (row !== undefined && row.label !== row.name) root.setAttribute('aria-level', String(row.depth + 1));
        else root.removeAttribute('aria-level');
        show(row === undefined ? NO_CELLS : tensorCells(row));
      }
    },
  };
}

const NO_CELLS: Cells = {
  path: '',
  leaf: '',
  title: '',
  dtype: '',
  shape: '',
  bytes: undefined,
  action: '',
  verb: '',
  overridden: '',
  reason: '',
};

function tensorCells(row: TensorRow): Cells {
  const isInTree = row.label !== row.name;
  const [path, leaf] = isInTree ? ['', row.label] : splitName(row.label);
  return {
    path,
    leaf,
    title: row.name,
    dtype: row.dtype,
    shape: row.shape,
    bytes: row.bytes,
    action: row.action ?? '',
    verb: row.action === undefined ? '' : ACTION_LABELS[row.action],
    overridden: row.decider === 'override' ? 'Overridden' : '',
    reason: row.reason,
  };
}

function groupCells(row: GroupRow): Cells {
  const [only, ...others] = ACTIONS.filter((action) => row.actions[action] > 0);
  const counts = ACTIONS.filter((action) => row.actions[action] > 0).map(
    (action) => `${ACTION_LABELS[action].toLowerCase()} ${formatInteger(row.actions[action])}`,
  );
  const isOne = only !== undefined && others.length === 0;
  return {
    path: '',
    leaf: row.label.replace(/\.$/, ''),
    title: `${row.path}: ${formatQuantity(row.tensors, 'tensor')}`,
    dtype: row.dtypes.join(', '),
    shape: formatQuantity(row.tensors, 'tensor'),
    bytes: row.bytes,
    action: isOne ? only : only === undefined ? '' : 'mixed',
    // Of the first kind: where there is room, the reason names every one.
    verb: isOne ? ACTION_LABELS[only] : only === undefined ? '' : `${formatInteger(row.actions[only])} of ${formatInteger(row.tensors)}`,
    overridden: row.overridden === 0 ? '' : `${formatInteger(row.overridden)} of ${formatInteger(row.tensors)} overridden`,
    reason: isOne ? 'all' : counts.join(', '),
  };
}
