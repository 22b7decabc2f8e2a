/** The context menu of the table's rows: what can be done with the row, and with all that is selected. */
import { formatQuantity } from '../../base/format';
import type { MenuEntry } from '../menu';
import type { TableRow } from '../protocol/query';
import type { ActionName } from '../protocol/views';
import { ACTION_LABELS, ACTIONS } from './columns';

export interface RowMenuEvents {
  onCopy(): void;
  onInspect(): void;
  onHex(tensor: number): void;
  onToggle(path: string): void;
  onOverride(action: ActionName | 'reset'): void;
}

/** `selected`: how many tensors are. */
export function rowMenu(row: TableRow, selected: number, events: RowMenuEvents): readonly MenuEntry[] {
  const what = selected > 1 ? ` ${formatQuantity(selected, 'Tensor')}` : '';
  return [
    ...rowEntries(row, events),
    { label: selected > 1 ? 'Copy Names' : 'Copy Name', keys: 'Ctrl+C', onPress: () => events.onCopy() },
    'separator',
    ...ACTIONS.map((action): MenuEntry => ({ label: `${ACTION_LABELS[action]}${what}`, onPress: () => events.onOverride(action) })),
    { label: 'As Planned', onPress: () => events.onOverride('reset') },
  ];
}

function rowEntries(row: TableRow, events: RowMenuEvents): readonly MenuEntry[] {
  switch (row.kind) {
    case 'tensor':
      return [
        { label: 'Inspect', keys: 'Enter', onPress: () => events.onInspect() },
        { label: 'Show as Hex', onPress: () => events.onHex(row.tensor) },
      ];
    case 'group':
      return [{ label: row.state === 'collapsed' ? 'Expand' : 'Collapse', keys: 'Enter', onPress: () => events.onToggle(row.path) }];
  }
}
