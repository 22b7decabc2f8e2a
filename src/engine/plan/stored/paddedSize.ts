/** paddedSize: how much of a matrix of codes that ComfyUI's loaders want padded is the weight, as far as anything tells. Pure. */
import { formatQuantity, formatShape } from '../../../base/format';
import { CODE_PADDING } from '../formats/comfyui';
import { roundedUp } from '../matrixStorage';
import type { StoredWeight } from './storedWeight';

type Size = readonly [rows: number, columns: number];

/** What might tell, the surest first. */
export interface SizeEvidence {
  /** What the file itself says. */
  readonly declared: Size | undefined;
  /** A bias has an element for each row. */
  readonly biasLength: number | undefined;
  /** This tool says so of every weight that it pads. */
  readonly ownFile: 'own' | 'unknown';
}

export interface PaddedSize {
  readonly rows: number;
  readonly columns: number;
  readonly padding?: 'unknown';
}

/** `stored` is that of the codes. What would not come to it when padded is no evidence. */
export function paddedSize(target: 'mxfp8' | 'nvfp4', stored: Size, { declared, biasLength, ownFile }: SizeEvidence): PaddedSize {
  const [rows, columns] = stored;
  const multiple = CODE_PADDING[target];
  if (declared?.every((size, side) => roundedUp(size, multiple) === stored[side]) === true)
    return { rows: declared[0], columns: declared[1] };
  if (biasLength !== undefined && roundedUp(biasLength, multiple) === rows) return { rows: biasLength, columns };
  return ownFile === 'own' ? { rows, columns } : { rows, columns, padding: 'unknown' };
}

/** Of weights that are read as numbers or stored otherwise, and whose size nothing tells. */
export function paddingWarnings(weights: Iterable<StoredWeight>): readonly string[] {
  const unsure = [...weights].filter(({ padding }) => padding === 'unknown');
  const [first] = unsure;
  if (first === undefined) return [];
  const others = unsure.length === 1 ? ' may be' : ` and ${formatQuantity(unsure.length - 1, 'other')} may be`;
  return [
    `"${first.name}"${others} padded with rows of zeros: ${first.encoding.target} is stored padded in the layout comfyui, and neither a bias nor the file tells the true shape. ` +
      `The stored one counts (${formatShape(first.shape)}): compare it with that of the original model.`,
  ];
}
