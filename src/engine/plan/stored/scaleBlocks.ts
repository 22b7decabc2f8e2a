/** scaleBlocks: the shape of a weight and of its scales → which elements share one. Pure. */
import type { Granularity } from '../encoding';

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
  if (shape.length !== 2) return undefined;
  if (blockSize !== undefined && Math.ceil(rows / blockSize[0]) === first && Math.ceil(columns / blockSize[1]) === second)
    return { kind: 'block', rows: blockSize[0], columns: blockSize[1] };
  const [blockRows, blockColumns] = [edge(rows, first), edge(columns, second)];
  return blockRows === undefined || blockColumns === undefined ? undefined : { kind: 'block', rows: blockRows, columns: blockColumns };
}

/** The edge that divides `size` into `count` blocks, the last of which may be smaller only where one size alone explains it. */
function edge(size: number, count: number): number | undefined {
  if (count < 1 || count > size) return undefined;
  if (size % count === 0) return size / count;
  const fitting = [16, 32, 64, 128, 256, 512].filter((candidate) => Math.ceil(size / candidate) === count);
  return fitting.length === 1 ? fitting[0] : undefined;
}

function withoutTrailingOnes(shape: readonly number[]): readonly number[] {
  const last = shape.findLastIndex((size) => size !== 1);
  return shape.slice(0, last + 1);
}
