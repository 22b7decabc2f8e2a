/** The orders of a table: which one a press on the head of a column leads to. Pure. */

export type Direction = 'ascending' | 'descending';

export interface SortOrder<Id extends string> {
  readonly column: Id;
  readonly direction: Direction;
}

export interface SortColumn<Id extends string> {
  readonly id: Id;
  readonly label: string;
  readonly align: 'start' | 'end';
  /** The order that people expect from the first press. */
  readonly firstDirection: Direction;
}

/** The order of a table that nobody has sorted. */
export interface NaturalOrder<Id extends string> {
  readonly order: SortOrder<Id>;
  /** The column by which it is sorted in the eyes of people, where no column has the order itself. */
  readonly shownAs?: Id;
}

export function nextOrder<Id extends string>(current: SortOrder<Id>, column: SortColumn<Id>, natural: NaturalOrder<Id>): SortOrder<Id> {
  const shown = shownOrder(current, natural);
  if (shown.column !== column.id) return { column: column.id, direction: column.firstDirection };
  if (shown.direction === column.firstDirection) return { column: column.id, direction: opposite(shown.direction) };
  return natural.order;
}

/** The order as people see it. */
export function shownOrder<Id extends string>(current: SortOrder<Id>, { order, shownAs }: NaturalOrder<Id>): SortOrder<Id> {
  return shownAs !== undefined && current.column === order.column ? { column: shownAs, direction: order.direction } : current;
}

function opposite(direction: Direction): Direction {
  return direction === 'ascending' ? 'descending' : 'ascending';
}
