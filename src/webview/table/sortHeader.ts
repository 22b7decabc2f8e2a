/** A table's header row: a button for each column that sorts by it; pressed again it turns the order, a third time it restores the natural order. */
import { element } from '../dom';
import { icon } from '../icons';

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

export interface SortHeader<Id extends string> {
  readonly root: HTMLElement;
  show(order: SortOrder<Id>): void;
}

export function makeSortHeader<Id extends string>(
  columns: readonly SortColumn<Id>[],
  natural: NaturalOrder<Id>,
  onSort: (order: SortOrder<Id>) => void,
): SortHeader<Id> {
  let current = natural.order;
  const cells = columns.map((column) => {
    const button = element('button', { class: 'sort', title: `Sort by ${column.label.toLowerCase()}` }, [
      element('span', { text: column.label }),
      icon('sortArrow'),
    ]);
    button.type = 'button';
    button.addEventListener('click', () => onSort(nextOrder(current, column, natural)));
    return { column, root: element('div', { class: `cell ${column.align} ${column.id}`, role: 'columnheader' }, [button]) };
  });
  return {
    root: element(
      'div',
      { class: 'row header-row', role: 'row', aria: { rowindex: 1 } },
      cells.map((cell) => cell.root),
    ),
    show(order) {
      current = order;
      const shown = shownOrder(order, natural);
      for (const { column, root } of cells) root.setAttribute('aria-sort', shown.column === column.id ? shown.direction : 'none');
    },
  };
}

export function nextOrder<Id extends string>(current: SortOrder<Id>, column: SortColumn<Id>, natural: NaturalOrder<Id>): SortOrder<Id> {
  const shown = shownOrder(current, natural);
  if (shown.column !== column.id) return { column: column.id, direction: column.firstDirection };
  if (shown.direction === column.firstDirection) return { column: column.id, direction: opposite(shown.direction) };
  return natural.order;
}

function shownOrder<Id extends string>(current: SortOrder<Id>, { order, shownAs }: NaturalOrder<Id>): SortOrder<Id> {
  return shownAs !== undefined && current.column === order.column ? { column: shownAs, direction: order.direction } : current;
}

function opposite(direction: Direction): Direction {
  return direction === 'ascending' ? 'descending' : 'ascending';
}
