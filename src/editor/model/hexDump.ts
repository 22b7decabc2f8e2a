/** hexDump: bytes as people read them: place in the file, hexadecimal, text. Pure. */
import { formatInteger, formatShape } from '../../base/format';
import type { TensorInfo } from '../../engine/safetensors/header';

const BYTES_PER_LINE = 16;

/** `bytes` begin where the tensor does. */
export function hexDump({ name, dtype, shape, begin, end }: TensorInfo, bytes: Uint8Array): string {
  const size = end - begin;
  const digits = Math.max(8, (end - 1).toString(16).length);
  const lines = [`${name}  ${dtype}  ${formatShape(shape)}  bytes ${formatInteger(begin)} to ${formatInteger(end)} of the file`, ''];
  for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
    const line = bytes.subarray(at, at + BYTES_PER_LINE);
    const hex = [...line].map((byte) => byte.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ').padEnd(23);
    const right = hex.slice(8).join(' ').padEnd(23);
    const text = [...line].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${(begin + at).toString(16).padStart(digits, '0')}  ${left}  ${right}  ${text}`);
  }
  if (size === 0) lines.push('This tensor has no bytes.');
  if (size > bytes.length) lines.push('', `… and ${formatInteger(size - bytes.length)} more bytes`);
  return `${lines.join('\n')}\n`;
}
