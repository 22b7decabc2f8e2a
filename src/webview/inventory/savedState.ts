/** What outlives the inventory's page while its tab is hidden, and survives a reload of the window. Pure. */
import type { RowKey } from '../protocol/inventoryApi';
import { INITIAL_QUERY, type Expansion, type Filters, type Query } from '../protocol/query';
import type { Order } from '../protocol/views';

export interface SavedState {
  readonly query: Query;
  readonly scrollTop: number;
  readonly active?: RowKey;
  readonly details: 'open' | 'closed';
}

export const initialState: SavedState = {
  query: INITIAL_QUERY,
  scrollTop: 0,
  details: 'closed',
};

/** Whatever an older version may have saved, the result can be used as it is; `undefined` where nothing of it can. */
export function readState(saved: unknown): SavedState | undefined {
  if (!isRecord(saved) || !isRecord(saved['query'])) return undefined;
  const { search, filters, order, form, expansion } = saved['query'];
  if (typeof search !== 'string' || !isFilters(filters) || !isOrder(order) || !isExpansion(expansion)) return undefined;
  if (form !== 'list' && form !== 'tree') return undefined;
  const { scrollTop, active, details } = saved;
  return {
    query: { search, filters, order, form, expansion },
    scrollTop: typeof scrollTop === 'number' && scrollTop >= 0 ? scrollTop : 0,
    ...(isRowKey(active) ? { active } : undefined),
    details: details === 'open' ? 'open' : 'closed',
  };
}

const COLUMNS: readonly unknown[] = ['file', 'name', 'dtype', 'shape', 'bytes', 'action'] satisfies readonly Order['column'][];

function isOrder(value: unknown): value is Order {
  return (
    isRecord(value) && COLUMNS.includes(value['column']) && (value['direction'] === 'ascending' || value['direction'] === 'descending')
  );
}

function isFilters(value: unknown): value is Filters {
  if (!isRecord(value)) return false;
  const ofType = (key: keyof Filters, type: string): boolean => {
    const list = value[key];
    return Array.isArray(list) && list.every((item) => typeof item === type);
  };
  return (['dtypes', 'actions', 'deciders', 'sizes'] as const).every((key) => ofType(key, 'string')) && ofType('ranks', 'number');
}

function isRowKey(value: unknown): value is RowKey {
  if (!isRecord(value)) return false;
  return value['kind'] === 'tensor' ? typeof value['tensor'] === 'number' : value['kind'] === 'group' && typeof value['path'] === 'string';
}

function isExpansion(value: unknown): value is Expansion {
  return isRecord(value) && (value['groups'] === 'collapsed' || value['groups'] === 'expanded') && Array.isArray(value['except']);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
