/**
 * weightsFor: stored weights as a layout can take them. A scale of one row and one column fits two readings, one for the tensor and one for a block that is
 * no smaller than the matrix; every number is the same by both. Pure.
 */
import { DEFAULT_BLOCK_SIZE, type Encoding, type Granularity } from '../encoding';
import { FORMATS } from '../formats/formats';
import type { Layout } from '../recipe';
import type { StoredSource } from './sourceCodes';
import type { StoredWeight } from './storedWeight';

type Block = Extract<Granularity, { kind: 'block' }>;

const USUAL: Block = { kind: 'block', rows: DEFAULT_BLOCK_SIZE[0], columns: DEFAULT_BLOCK_SIZE[1] };

export function weightsFor({ byName }: Pick<StoredSource, 'byName'>, layout: Layout): readonly StoredWeight[] {
  const weights = [...byName.values()];
  const others = blockOfOthers(weights);
  return weights.map((weight) => {
    if (!hasSingleScale(weight)) return weight;
    const asBlock = { ...weight.encoding, granularity: others ?? USUAL };
    const readings = [...(others === undefined ? [] : [asBlock]), weight.encoding, asBlock, asTensor(weight.encoding)];
    const encoding = readings.find((reading) => isHeld(weight, reading, layout));
    return encoding === undefined ? weight : { ...weight, encoding };
  });
}

/** Where every block-scaled weight has the same. */
function blockOfOthers(weights: readonly StoredWeight[]): Block | undefined {
  const blocks = weights.flatMap((weight) => {
    const { granularity } = weight.encoding;
    return granularity.kind === 'block' &&
      weight.storage.scaleForm !== 'e8m0' &&
      weight.storage.scaleForm !== 'e4m3' &&
      !hasSingleScale(weight)
      ? [granularity]
      : [];
  });
  const [first] = blocks;
  return first !== undefined && blocks.every(({ rows, columns }) => rows === first.rows && columns === first.columns) ? first : undefined;
}

/** A number without dimensions, and one with a single one, are said to be the tensor's. */
function hasSingleScale({ scales, storage }: StoredWeight): boolean {
  return scales?.shape.join() === '1,1' && storage.scaleForm !== 'e8m0' && storage.scaleForm !== 'e4m3';
}

function asTensor({ target }: Encoding): Encoding {
  return { target, granularity: { kind: 'tensor' } };
}

function isHeld({ name, shape, rows, columns }: StoredWeight, encoding: Encoding, layout: Layout): boolean {
  const { granularity, target } = encoding;
  const format = FORMATS[layout];
  if (granularity.kind === 'block' && (rows > granularity.rows || columns > granularity.columns)) return false;
  return (
    format.holds[target]?.includes(granularity.kind) === true && format.obstacle({ name, shape, rows, columns }, encoding) === undefined
  );
}
