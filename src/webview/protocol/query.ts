/** Query: which tensors the table shows, in which order and form; and the rows that answer it. */
import type { ActionName, Decider, Order, RowView } from './views';

export interface Query {
  /** As it was typed: see nameFilter.ts. */
  readonly search: string;
  readonly filters: Filters;
  readonly order: Order;
  readonly form: TableForm;
  /** Of the tree's groups. */
  readonly expansion: Expansion;
}

export type TableForm = 'list' | 'tree';

/** An empty list filters nothing. */
export interface Filters {
  readonly dtypes: readonly string[];
  readonly actions: readonly ActionName[];
  readonly deciders: readonly Decider[];
  readonly ranks: readonly number[];
  readonly sizes: readonly SizeClass[];
}

export const NO_FILTERS: Filters = { dtypes: [], actions: [], deciders: [], ranks: [], sizes: [] };

export type SizeClass = 'tiny' | 'small' | 'medium' | 'large';

export interface SizeClassRange {
  readonly id: SizeClass;
  readonly label: string;
  /** Bytes from here, up to the next one's. */
  readonly from: number;
}

export const SIZE_CLASSES: readonly SizeClassRange[] = [
  { id: 'tiny', label: 'Below 64 kB', from: 0 },
  { id: 'small', label: '64 kB to 1 MB', from: 64_000 },
  { id: 'medium', label: '1 MB to 64 MB', from: 1_000_000 },
  { id: 'large', label: '64 MB and more', from: 64_000_000 },
];

/** Every group but `except` is as `groups` says. */
export interface Expansion {
  readonly groups: 'collapsed' | 'expanded';
  readonly except: readonly string[];
}

export const COLLAPSED: Expansion = { groups: 'collapsed', except: [] };

/** Of a page that nobody has searched, sorted or unfolded yet. */
export const INITIAL_QUERY: Query = {
  search: '',
  filters: NO_FILTERS,
  order: { column: 'name', direction: 'ascending' },
  form: 'list',
  expansion: COLLAPSED,
};

export type TableRow = TensorRow | GroupRow;

export interface TensorRow extends RowView {
  readonly kind: 'tensor';
  /** How deep in the tree; 0 in a list. */
  readonly depth: number;
  /** The part of the name that its groups do not say; in a list, the whole name. */
  readonly label: string;
}

export interface GroupRow {
  readonly kind: 'group';
  readonly depth: number;
  /** Names the group, with the dot at its end. */
  readonly path: string;
  readonly label: string;
  readonly state: 'collapsed' | 'expanded';
  /** Of the tensors that the query means. */
  readonly tensors: number;
  readonly bytes: number;
  readonly actions: Readonly<Record<ActionName, number>>;
  /** How many of them overrides decide for. */
  readonly overridden: number;
  readonly dtypes: readonly string[];
}

export interface RowsReply {
  /** Rows of the whole table, groups included. */
  readonly count: number;
  /** What the query means of the file's tensors. */
  readonly tensors: number;
  readonly bytes: number;
  /** Rows `start` ≤ i < `end` of it. */
  readonly rows: readonly TableRow[];
  /** Why the search means nothing; it then filters nothing. */
  readonly problem?: string;
}
