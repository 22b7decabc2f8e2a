/** Which order a table has after a press on a column, as people see it. */
import { describe, expect, it } from 'vitest';
import { nextOrder, type SortColumn, type SortOrder } from '../../../src/webview/table/sortOrder';

type Column = 'worst' | 'name' | 'error';
const NAME: SortColumn<Column> = { id: 'name', label: 'Name', align: 'start', firstDirection: 'ascending' };
const ERROR: SortColumn<Column> = { id: 'error', label: 'Error', align: 'end', firstDirection: 'descending' };
const WORST: SortOrder<Column> = { column: 'worst', direction: 'descending' };

describe('a press on the head of a column', () => {
  it('sorts by it, turns the order, and restores the one that nobody chose', () => {
    const press = (order: SortOrder<Column>): SortOrder<Column> => nextOrder(order, NAME, { order: WORST });
    expect(press(WORST)).toEqual({ column: 'name', direction: 'ascending' });
    expect(press(press(WORST))).toEqual({ column: 'name', direction: 'descending' });
    expect(press(press(press(WORST)))).toEqual(WORST);
  });

  it('turns the order that is shown at first as one of the column', () => {
    const natural = { order: WORST, shownAs: 'error' } as const;
    expect(nextOrder(WORST, ERROR, natural)).toEqual({ column: 'error', direction: 'ascending' });
    expect(nextOrder({ column: 'error', direction: 'ascending' }, ERROR, natural)).toEqual(WORST);
  });
});
