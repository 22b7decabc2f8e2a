/** The table's header row: a button for each column that sorts by it; pressed again it turns the order, a third time it restores the file's order. */
import { element } from '../dom';
import { icon } from '../icons';
import type { Order } from '../protocol/views';
import { COLUMNS, type Column } from './columns';

export interface HeaderRow {
  readonly root: HTMLElement;
  show(order: Order): void;
}

export function makeHeaderRow(onSort: (order: Order) => void): HeaderRow {
  let current: Order = { column: 'file', direction: 'ascending' };
  const cells = COLUMNS.map((column) => {
    const button = element('button', { class: 'sort' }, [element('span', { text: column.label }), icon('sortArrow')]);
    button.type = 'button';
    button.addEventListener('click', () => onSort(nextOrder(current, column)));
    return { column, root: element('div', { class: `cell ${column.align} ${column.id}`, role: 'columnheader' }, [button]), button };
  });
  return {
    root: element(
      'div',
      { class: 'row header-row', role: 'row', aria: { rowindex: 1 } },
      cells.map((cell) => cell.root),
    ),
    show(order) {
      current = order;
      for (const { column, root, button } of cells) {
        const direction = order.column === column.id ? order.direction : 'none';
        root.setAttribute('aria-sort', direction);
        button.title = `Sort by ${column.label.toLowerCase()}`;
      }
    },
  };
}

export function nextOrder(current: Order, column: Column): Order {
  if (current.column !== column.id) return { column: column.id, direction: column.firstDirection };
  if (current.direction === column.firstDirection) return { column: column.id, direction: opposite(current.direction) };
  return { column: 'file', direction: 'ascending' };
}

function opposite(direction: Order['direction']): Order['direction'] {
  return direction === 'ascending' ? 'descending' : 'ascending';
}
