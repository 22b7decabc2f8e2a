/** scaleBlocks: the shape of a weight and of its scales → which elements share one. Pure. */
import type { Granularity } from '../encoding';

const USUAL_EDGE = 128;
const OTHER_EDGES = [16, 32, 64, 256, 512];

/** Undefined where no blocks of one size give this many scales, or where several sizes would. */
export function scaleBlocks(
  [rows, columns]: readonly [number, number],
  shape: readonly number[],
  blockSize: readonly [number, number] | undefined,
): Granularity | undefined {
  const [first = 1, second = 1] = shape;
  const [height, ...others] = withoutTrailingOnes(shape);
  if (height === undefined) return { kind: 'tensor' };
  if (others.length === 0 && height === rows) return { kind: 'row' };
  if (shape.length === 3 && shape[2] === 1) return partsOfRows([rows, columns], [first, second]);
  if (shape.length !== 2) return undefined;
  if (blockSize !== undefined && Math.ceil(rows / blockSize[0]) === first && Math.ceil(columns / blockSize[1]) === second)
    return { kind: 'block', rows: blockSize[0], columns: blockSize[1] };
  const [blockRows, blockColumns] = [edge(rows, first), edge(columns, second)];
  return blockRows === undefined || blockColumns === undefined ? undefined : { kind: 'block', rows: blockRows, columns: blockColumns };
}

/** As musubi-tuner stores them: `[rows, parts, 1]`. */
function partsOfRows([rows, columns]: readonly [number, number], [height, parts]: readonly [number, number]): Granularity | undefined {
  return height === rows && columns % parts === 0 ? { kind: 'block', rows: 1, columns: columns / parts } : undefined;
}

/**
 * The edge that divides `size` into `count` blocks, of which the last may be smaller. Where nothing is said of it, it is 128, as nearly everywhere; else
 * another power of two or what divides evenly, where one alone fits: 96 in two may be 48 and 48, or 64 and 32.
 */
function edge(size: number, count: number): number | undefined {
  if (count < 1 || count > size) return undefined;
  if (count === 1) return size;
  const fits = (candidate: number): boolean => Math.ceil(size / candidate) === count;
  if (fits(USUAL_EDGE)) return USUAL_EDGE;
  const fitting = new Set([...OTHER_EDGES.filter(fits), ...(size % count === 0 ? [size / count] : [])]);
  const [only] = fitting;
  return fitting.size === 1 ? only : undefined;
}

function withoutTrailingOnes(shape: readonly number[]): readonly number[] {
  const last = shape.findLastIndex((size) => size !== 1);
  return shape.slice(0, last + 1);
}
