/**
 * layOut: the tensors of an output → its header and every byte range. Pure.
 *
 * Order: dtypes with wide elements first, and within the same width as given. So every tensor is aligned to its elements without holes,
 * which the format does not allow. The header is padded with spaces until the data begins at a multiple of 8.
 */
import { formatInteger } from '../../base/format';
import { DTYPES, type Dtype } from '../dtype';
import { LENGTH_BYTES, MAX_HEADER_LENGTH } from './headerLength';
import { invalid } from './invalid';

export interface LayoutTensor {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly exactShape?: readonly string[];
  readonly byteLength: number;
}

export interface ByteRange {
  /** From the start of the file. */
  readonly begin: number;
  readonly end: number;
}

export interface OutputLayout<T> {
  /** The length prefix and the JSON text, ready to be written at offset 0. */
  readonly headerBytes: Uint8Array;
  /** In file order. */
  readonly tensors: readonly (T & ByteRange)[];
  readonly fileSize: number;
}

const ALIGNMENT = 8;
const SPACE = 0x20;

/** Names must differ from each other. Throws InvalidSafetensors (HeaderTooLarge). */
export function layOut<T extends LayoutTensor>(tensors: readonly T[], metadata: ReadonlyMap<string, string>): OutputLayout<T> {
  const ordered = [...tensors].sort((a, b) => elementBits(b) - elementBits(a));
  const { headerBytes, dataSize } = encodeHeader(ordered, metadata);
  let position = headerBytes.length;
  const placed = ordered.map((tensor) => {
    const begin = position;
    position += tensor.byteLength;
    return { ...tensor, begin, end: position };
  });
  return { headerBytes, tensors: placed, fileSize: headerBytes.length + dataSize };
}

/** Elements narrower than a byte share bytes: they need no alignment. */
function elementBits(tensor: LayoutTensor): number {
  return Math.max(8, DTYPES[tensor.dtype].bits);
}

function encodeHeader(
  tensors: readonly LayoutTensor[],
  metadata: ReadonlyMap<string, string>,
): { headerBytes: Uint8Array; dataSize: number } {
  const fields: string[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    fields.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  let offset = 0;
  for (const { name, dtype, shape, exactShape, byteLength } of tensors) {
    const end = offset + byteLength;
    fields.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${(exactShape ?? shape).join(',')}],"data_offsets":[${offset},${end}]}`,
    );
    offset = end;
  }
  return { headerBytes: withLength(new TextEncoder().encode(`{${fields.join(',')}}`)), dataSize: offset };
}

function withLength(json: Uint8Array): Uint8Array {
  const length = Math.ceil(json.length / ALIGNMENT) * ALIGNMENT;
  if (length > MAX_HEADER_LENGTH) {
    throw invalid(
      'HeaderTooLarge',
      `The output's header would have ${formatInteger(length)} bytes, and the format allows ${formatInteger(MAX_HEADER_LENGTH)}. ` +
        'Split the model, or shorten its metadata.',
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(SPACE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, LENGTH_BYTES);
  return bytes;
}
