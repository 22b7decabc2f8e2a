/** What the arrows to the sides mean in a tree. Pure. */
import type { TableRow } from '../protocol/query';

export type TreeStep = 'toggle' | 'enter' | 'leave';

export function treeKey(key: string, row: TableRow): TreeStep | undefined {
  switch (key) {
    case 'ArrowRight':
      if (row.kind !== 'group') return undefined;
      return row.state === 'collapsed' ? 'toggle' : 'enter';
    case 'ArrowLeft':
      return row.kind === 'group' && row.state === 'expanded' ? 'toggle' : 'leave';
    default:
      return undefined;
  }
}
