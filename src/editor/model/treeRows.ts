/** treeRows: the visible rows of a tree of tensors: what is in collapsed groups or not chosen is left out, the rest sorted within each group. Pure. */
import type { Expansion, GroupRow } from '../../webview/protocol/query';
import type { Order } from '../../webview/protocol/views';
import { deciderOf, type ListedTensor } from './listedTensor';
import { compareKeys, naturalKey } from './tensorOrder';
import type { TreeGroup } from './tensorTree';

export type TreeEntry = GroupEntry | TensorEntry;

export interface TensorEntry {
  readonly kind: 'tensor';
  readonly tensor: number;
  readonly depth: number;
  readonly label: string;
}

export interface GroupEntry {
  readonly kind: 'group';
  readonly state: GroupRow['state'];
  readonly depth: number;
  readonly chosen: ChosenGroup;
}

/** A group as far as it is chosen. */
export interface ChosenGroup {
  readonly group: TreeGroup;
  readonly groups: readonly ChosenGroup[];
  readonly tensors: readonly number[];
  readonly count: number;
  readonly bytes: number;
  /** Where its first tensor stands in the order. */
  readonly rank: number;
}

export interface TreeQuery {
  readonly tensors: readonly ListedTensor[];
  /** In the order. */
  readonly chosen: Uint32Array;
  readonly order: Order;
  readonly expansion: Expansion;
}

export function treeRows(root: TreeGroup, { tensors, chosen, order, expansion }: TreeQuery): readonly TreeEntry[] {
  const rank = new Int32Array(tensors.length).fill(-1);
  for (const [position, tensor] of chosen.entries()) rank[tensor] = position;
  const rankOf = (tensor: number): number => rank[tensor] ?? -1;
  const except = new Set(expansion.except);
  const expanded = (path: string): boolean => (expansion.groups === 'expanded') !== except.has(path);
  const entries: TreeEntry[] = [];

  const walk = (chosenGroup: ChosenGroup, depth: number): void => {
    for (const child of sortedChildren(chosenGroup, order, rankOf)) {
      if (typeof child === 'number') {
        const name = tensors[child]?.source.name ?? '';
        entries.push({ kind: 'tensor', tensor: child, depth, label: name.slice(chosenGroup.group.path.length) });
        continue;
      }
      const state = expanded(child.group.path) ? 'expanded' : 'collapsed';
      entries.push({ kind: 'group', state, depth, chosen: child });
      if (state === 'expanded') walk(child, depth + 1);
    }
  };
  const all = chosenOf(root, tensors, rankOf);
  if (all !== undefined) walk(all, 0);
  return entries;
}

/** Made for the rows that are shown alone: it looks at every tensor in the group. */
export function groupRow({ state, depth, chosen }: GroupEntry, tensors: readonly ListedTensor[]): GroupRow {
  const { path, label } = chosen.group;
  return { kind: 'group', depth, path, label, state, ...rollUp(chosen, tensors) };
}

/** The chosen tensors in a group, at any depth. */
export function membersOf(chosen: ChosenGroup): readonly number[] {
  return [...chosen.tensors, ...chosen.groups.flatMap(membersOf)];
}

/** `undefined` where nothing in it is chosen. */
function chosenOf(group: TreeGroup, tensors: readonly ListedTensor[], rankOf: (tensor: number) => number): ChosenGroup | undefined {
  const own = group.tensors.filter((tensor) => rankOf(tensor) >= 0);
  const groups: ChosenGroup[] = [];
  let count = own.length;
  let bytes = 0;
  let rank = Infinity;
  for (const tensor of own) {
    const source = tensors[tensor]?.source;
    bytes += source === undefined ? 0 : source.end - source.begin;
    rank = Math.min(rank, rankOf(tensor));
  }
  for (const inner of group.groups) {
    const chosen = chosenOf(inner, tensors, rankOf);
    if (chosen === undefined) continue;
    groups.push(chosen);
    count += chosen.count;
    bytes += chosen.bytes;
    rank = Math.min(rank, chosen.rank);
  }
  return count === 0 ? undefined : { group, groups, tensors: own, count, bytes, rank };
}

/** By size, groups stand among tensors by what is in them; by name or place in the file, where their tensors do; else by name, before tensors. */
function sortedChildren(
  { groups, tensors }: ChosenGroup,
  { column, direction }: Order,
  rankOf: (tensor: number) => number,
): readonly (ChosenGroup | number)[] {
  if (groups.length + tensors.length <= 1) return [...groups, ...tensors];
  const turn = direction === 'ascending' ? 1 : -1;
  const byRank = [...tensors].sort((a, b) => rankOf(a) - rankOf(b));
  switch (column) {
    case 'name':
    case 'file':
      return [...groups, ...byRank].sort((a, b) => rankIn(a, rankOf) - rankIn(b, rankOf));
    case 'bytes':
      return [...[...groups].sort((a, b) => turn * (a.bytes - b.bytes) || a.rank - b.rank), ...byRank];
    case 'dtype':
    case 'shape':
    case 'action':
      return [...[...groups].sort((a, b) => compareKeys(naturalKey(a.group.label), naturalKey(b.group.label))), ...byRank];
  }
}

function rankIn(child: ChosenGroup | number, rankOf: (tensor: number) => number): number {
  return typeof child === 'number' ? rankOf(child) : child.rank;
}

function rollUp(
  chosen: ChosenGroup,
  tensors: readonly ListedTensor[],
): Pick<GroupRow, 'tensors' | 'bytes' | 'actions' | 'overridden' | 'dtypes'> {
  const actions = { quantize: 0, keep: 0, remove: 0 };
  let overridden = 0;
  const dtypes = new Map<string, number>();
  for (const index of membersOf(chosen)) {
    const tensor = tensors[index];
    if (tensor === undefined) continue;
    if (tensor.action !== undefined) {
      actions[tensor.action] += 1;
      if (deciderOf(tensor) === 'override') overridden += 1;
    }
    const { dtype, begin, end } = tensor.source;
    dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + end - begin);
  }
  const byBytes = [...dtypes].sort((a, b) => b[1] - a[1]).map(([dtype]) => dtype);
  return { tensors: chosen.count, bytes: chosen.bytes, actions, overridden, dtypes: byBytes };
}
