/** parseHeader: the first bytes of a file → a valid Header, accepting and refusing exactly what the reference reader does. Pure. */
import type { Header, TensorInfo } from './header';
import { parseHeaderJson } from './headerJson';
import { LENGTH_BYTES, parseHeaderLength } from './headerLength';
import { invalid } from './invalid';
import { validateEntries } from './validate';
import { recogniseWrongFile } from './wrongFile';

/**
 * `prefix` holds the file's first bytes, at least to the end of the header where the file has that many; what follows is not looked at.
 * Throws EngineError InvalidSafetensors; `details.rule` is the reference reader's name for the failed check.
 */
export function parseHeader(prefix: Uint8Array, fileSize: number): Header {
  const dataStart = LENGTH_BYTES + parseHeaderLength(prefix, fileSize);
  if (prefix.length < dataStart) throw new RangeError(`parseHeader was given ${prefix.length} bytes of ${dataStart}`);
  if (dataStart === LENGTH_BYTES) {
    const remedy = recogniseWrongFile(prefix) ?? 'Its download or export did not finish: do it again.';
    throw invalid('InvalidHeaderDeserialization', `The file says that its header is empty. ${remedy}`);
  }
  const { tensors: entries, metadata } = parseHeaderJson(decodeUtf8(prefix.subarray(LENGTH_BYTES, dataStart)));
  const tensors = validateEntries([...entries.values()], dataStart, fileSize);
  const byName = new Map<string, TensorInfo>();
  for (const tensor of tensors) byName.set(tensor.name, tensor);
  return { tensors, byName, metadata, dataStart, fileSize };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    // A byte order mark is kept, so that the JSON scanner refuses it.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(
      'InvalidHeader',
      'The header is not UTF-8 text: the file is damaged or is no safetensors file. Download it or export it again.',
    );
  }
}
