/** scaleBlocks: the shape of a weight and of its scales → which elements share one. Pure. */
import type { Granularity } from '../encoding';

/** Undefined where no blocks of one size give this many scales, or where several sizes would. */
export function scaleBlocks(
  [rows, columns]: readonly [number, number],
  shape: readonly number[],
  blockSize: readonly [number, number] | undefined,
): Granularity | undefined {
  const sizes = withoutTrailingOnes(shape);
  const [first = 1, second = 1, ...more] = sizes;
  if (sizes.length === 0) return { kind: 'tensor' };
  if (sizes.length === 1 && first === rows) return { kind: 'row' };
  if (more.length > 0 || sizes.length !== 2) return first === 1 && sizes.length === 1 ? { kind: 'tensor' } : undefined;
  if (blockSize !== undefined && Math.ceil(rows / blockSize[0]) === first && Math.ceil(columns / blockSize[1]) === second)
    return { kind: 'block', rows: blockSize[0], columns: blockSize[1] };
  const [height, width] = [edge(rows, first), edge(columns, second)];
  return height === undefined || width === undefined ? undefined : { kind: 'block', rows: height, columns: width };
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
