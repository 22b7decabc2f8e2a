/** The first 8 bytes of a file: how long is its header? */
import { formatInteger } from '../../base/format';
import { invalid } from './invalid';
import { recogniseWrongFile } from './wrongFile';

export const LENGTH_BYTES = 8;

/** The format's limit for the JSON text. */
export const MAX_HEADER_LENGTH = 100_000_000;

/**
 * The length of the header's JSON text in bytes. `prefix` holds at least the first 8 bytes of the file, or all of a shorter one.
 * Throws InvalidSafetensors (HeaderTooSmall, HeaderTooLarge, InvalidHeaderLength).
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number): number {
  if (fileSize < LENGTH_BYTES || prefix.length < LENGTH_BYTES) {
    const size = fileSize === 0 ? 'The file is empty' : `The file has only ${fileSize} bytes, too few for a safetensors file`;
    throw invalid('HeaderTooSmall', `${size}. Its download or export did not finish: do it again.`);
  }
  const wrongFile = recogniseWrongFile(prefix);
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_LENGTH)) {
    const remedy = wrongFile ?? 'Check that you have the right file, and download it again.';
    throw invalid('HeaderTooLarge', `This is not a safetensors file: its first 8 bytes are no header length. ${remedy}`);
  }
  const missing = LENGTH_BYTES + Number(length) - fileSize;
  if (missing > 0) {
    const remedy = wrongFile ?? 'The download is incomplete: download the file again.';
    throw invalid('InvalidHeaderLength', `The file ends ${formatInteger(missing)} bytes before its header does. ${remedy}`);
  }
  return Number(length);
}
