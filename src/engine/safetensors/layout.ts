/**
 * layOut: the tensors of an output → its header and every byte range. Pure.
 *
 * Order: dtypes with wide elements first, and within the same width as given. So every tensor is aligned to its elements without holes,
 * which the format does not allow. The header is padded with spaces until the data begins at a multiple of 8.
 */
import { formatInteger } from '../../base/format';
import { atOnce, slicedMap, type Sliced } from '../../base/slices';
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

/** Widest first. Elements narrower than a byte share bytes: they need no alignment. */
const ELEMENT_BITS = [64, 32, 16, 8] as const;
const ALIGNMENT = 8;
const CHUNK_CHARACTERS = 65_536;
const SPACE = 0x20;

/** Names must differ from each other. Throws InvalidSafetensors (HeaderTooLarge). */
export function layOut<T extends LayoutTensor>(tensors: readonly T[], metadata: ReadonlyMap<string, string>): OutputLayout<T> {
  return atOnce(layOutInSlices(tensors, metadata));
}

export function* layOutInSlices<T extends LayoutTensor>(
  tensors: readonly T[],
  metadata: ReadonlyMap<string, string>,
): Sliced<OutputLayout<T>> {
  const ordered = ELEMENT_BITS.flatMap((bits) => tensors.filter((tensor) => elementBits(tensor) === bits));
  yield;
  const { headerBytes, dataSize } = yield* encodeHeader(ordered, metadata);
  let position = headerBytes.length;
  const placed = yield* slicedMap(ordered, (tensor) => {
    const begin = position;
    position += tensor.byteLength;
    return { ...tensor, begin, end: position };
  });
  return { headerBytes, tensors: placed, fileSize: headerBytes.length + dataSize };
}

function elementBits(tensor: LayoutTensor): number {
  return Math.max(8, DTYPES[tensor.dtype].bits);
}

function* encodeHeader(
  tensors: readonly LayoutTensor[],
  metadata: ReadonlyMap<string, string>,
): Sliced<{ readonly headerBytes: Uint8Array; readonly dataSize: number }> {
  const encoder = new TextEncoder();
  const chunks: Uint8Array[] = [];
  let text = `{${metadata.size === 0 ? '' : metadataField(metadata)}`;
  let offset = 0;
  for (const tensor of tensors) {
    text += `${text === '{' ? '' : ','}${tensorField(tensor, offset)}`;
    offset += tensor.byteLength;
    // Encoded in pieces, since the text of a long header is slow to build as one string.
    if (text.length > CHUNK_CHARACTERS) {
      chunks.push(encoder.encode(text));
      text = '';
      yield;
    }
  }
  chunks.push(encoder.encode(`${text}}`));
  return { headerBytes: withLength(chunks), dataSize: offset };
}

function metadataField(metadata: ReadonlyMap<string, string>): string {
  const pairs = Array.from(metadata, ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  return `"__metadata__":{${pairs.join(',')}}`;
}

function tensorField({ name, dtype, shape, exactShape, byteLength }: LayoutTensor, offset: number): string {
  const dimensions = (exactShape ?? shape).join(',');
  return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${dimensions}],"data_offsets":[${offset},${offset + byteLength}]}`;
}

function withLength(json: readonly Uint8Array[]): Uint8Array {
  const length = Math.ceil(json.reduce((sum, chunk) => sum + chunk.length, 0) / ALIGNMENT) * ALIGNMENT;
  if (length > MAX_HEADER_LENGTH) {
    throw invalid(
      'HeaderTooLarge',
      `The output's header would have ${formatInteger(length)} bytes, and the format allows ${formatInteger(MAX_HEADER_LENGTH)}. ` +
        'Split the model, or shorten its metadata.',
    );
  }
  const bytes = new Uint8Array(LENGTH_BYTES + length).fill(SPACE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  let position = LENGTH_BYTES;
  for (const chunk of json) {
    bytes.set(chunk, position);
    position += chunk.length;
  }
  return bytes;
}
