import { describe, expect, it } from 'vitest';
import { matrix, timesTransposed, type Matrix } from '../../../bench/model/matrix';

describe('timesTransposed', () => {
  // Around the 4 × 2 tile: smaller than one, whole ones, and every remainder.
  const sizes = [1, 2, 3, 4, 5, 7, 8, 9];

  it.each(sizes.flatMap((rows) => sizes.map((columns) => [rows, columns] as const)))('multiplies %i rows by %i', (rows, columns) => {
    const x = filled(rows, 11, 1);
    const w = filled(columns, 11, 2);
    const product = timesTransposed(x, w);
    expect([product.rows, product.columns]).toEqual([rows, columns]);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        let sum = 0;
        for (let k = 0; k < 11; k += 1) sum += x.values[row * 11 + k]! * w.values[column * 11 + k]!;
        expect(product.values[row * columns + column]).toBe(Math.fround(sum));
      }
    }
  });

  it('refuses matrices that do not fit', () => {
    expect(() => timesTransposed(matrix(2, 3), matrix(2, 4))).toThrow('Cannot multiply 2 × 3 by the transpose of 2 × 4.');
  });
});

function filled(rows: number, columns: number, seed: number): Matrix {
  return matrix(
    rows,
    columns,
    Float32Array.from({ length: rows * columns }, (_, index) => Math.sin(seed * 100 + index)),
  );
}
