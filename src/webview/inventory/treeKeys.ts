/** What the arrows to the sides mean in a tree, and where they lead. Pure. */
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

/** The row of the group around a row, if it is among the rows that are here. */
export function rowAround(index: number, depth: number, rowAt: (index: number) => TableRow | undefined): number | undefined {
  for (let above = index - 1; above >= 0; above--) {
    const row = rowAt(above);
    if (row === undefined) return undefined;
    if (row.depth < depth) return above;
  }
  return undefined;
}
