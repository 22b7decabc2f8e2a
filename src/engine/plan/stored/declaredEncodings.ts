/**
 * declaredEncodings: what a file of this tool says in its metadata of how each layer is stored, where shapes alone would leave it open: `192` rows with
 * two scales are 96 and 96, or 128 and 64. Pure.
 */
import { jsonObject, parsedJson } from '../../../base/json';
import { granularityName, type BlockSize } from '../encoding';
import type { MatrixStorage } from '../matrixStorage';
import type { QuantizedLayer } from '../outputFormat';

/**
 * Layers by how they are stored, as JSON: `{"float8_e4m3fn block:128x128":["blocks.0.mlp"]}`; those whose codes are padded also with the weight's own
 * size, `mxfp8 block:1x32 shape:200x128`, and nvfp4 with `evenHigh` or `evenLow`.
 */
export const ENCODINGS_KEY = 'fp8_quantizer.encodings';

const KEY = /^fp8_quantizer\.encodings(\.\d+)?$/;

export interface DeclaredEncoding {
  readonly blockSize?: BlockSize;
  readonly shape?: readonly [rows: number, columns: number];
  readonly nibbles?: NonNullable<MatrixStorage['nibbles']>;
}

export interface DeclaredLayer extends QuantizedLayer {
  readonly nibbles?: MatrixStorage['nibbles'];
}

export function encodingsText(layers: readonly DeclaredLayer[]): string {
  const groups = new Map<string, string[]>();
  for (const { layer, encoding, paddedFrom, nibbles } of layers) {
    const shape = paddedFrom === undefined ? undefined : `shape:${paddedFrom.join('x')}`;
    const how = [encoding.target, granularityName(encoding.granularity), shape, nibbles].filter((word) => word !== undefined).join(' ');
    groups.set(how, [...(groups.get(how) ?? []), layer]);
  }
  return JSON.stringify(Object.fromEntries([...groups].map(([how, names]) => [how, [...names].sort()])));
}

/** By layer. The file may say anything; what is not understood counts as not said. */
export function declaredEncodings(metadata: ReadonlyMap<string, string>): ReadonlyMap<string, DeclaredEncoding> {
  const declared = new Map<string, DeclaredEncoding>();
  for (const [key, text] of metadata) {
    if (!KEY.test(key)) continue;
    for (const [how, layers] of Object.entries(jsonObject(parsedJson(text)) ?? {})) {
      const encoding = encodingOf(how);
      for (const layer of Array.isArray(layers) ? (layers as readonly unknown[]) : [])
        if (typeof layer === 'string') declared.set(layer, encoding);
    }
  }
  return declared;
}

function encodingOf(how: string): DeclaredEncoding {
  const blockSize = sizeOf('block', how);
  const shape = sizeOf('shape', how);
  const nibbles = (['evenHigh', 'evenLow'] as const).find((order) => how.endsWith(` ${order}`));
  return {
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(shape === undefined ? {} : { shape }),
    ...(nibbles === undefined ? {} : { nibbles }),
  };
}

function sizeOf(word: 'block' | 'shape', how: string): readonly [number, number] | undefined {
  const [, rows, columns] = new RegExp(` ${word}:([1-9]\\d{0,6})x([1-9]\\d{0,6})( |$)`).exec(how) ?? [];
  return rows === undefined || columns === undefined ? undefined : [Number(rows), Number(columns)];
}
