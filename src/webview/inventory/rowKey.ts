/** What a row is known by, wherever it stands. Pure. */
import type { RowKey } from '../protocol/inventoryApi';
import type { TableRow } from '../protocol/query';

export function keyOf(row: TableRow): RowKey {
  return row.kind === 'tensor' ? { kind: 'tensor', tensor: row.tensor } : { kind: 'group', path: row.path };
}

/** `undefined` of a group. */
export function tensorOf(row: RowKey): number | undefined {
  return row.kind === 'tensor' ? row.tensor : undefined;
}
