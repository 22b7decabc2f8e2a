/** A table's header row: a button for each column that sorts by it; pressed again it turns the order, a third time it restores the natural order. */
import { element } from '../dom';
import { icon } from '../icons';
import { nextOrder, shownOrder, type NaturalOrder, type SortColumn, type SortOrder } from './sortOrder';

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
