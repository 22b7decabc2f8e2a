/**
 * declaredEncodings: what a file of this tool says in its metadata of how each layer is stored, where shapes alone would leave it open: `192` rows with
 * two scales are 96 and 96, or 128 and 64. Pure.
 */
import { jsonObject, parsedJson } from '../../../base/json';
import { granularityName, type BlockSize, type Encoding } from '../encoding';
import type { MatrixStorage } from '../matrixStorage';

/** Layers by how they are stored, as JSON: `{"float8_e4m3fn block:128x128":["blocks.0.mlp"]}`; nvfp4 also with `evenHigh` or `evenLow`. */
export const ENCODINGS_KEY = 'fp8_quantizer.encodings';

const KEY = /^fp8_quantizer\.encodings(\.\d+)?$/;

export interface DeclaredEncoding {
  readonly blockSize?: BlockSize;
  readonly nibbles?: NonNullable<MatrixStorage['nibbles']>;
}

export interface DeclaredLayer {
  readonly layer: string;
  readonly encoding: Encoding;
  readonly nibbles?: MatrixStorage['nibbles'];
}

export function encodingsText(layers: readonly DeclaredLayer[]): string {
  const groups = new Map<string, string[]>();
  for (const { layer, encoding, nibbles } of layers) {
    const how = [encoding.target, granularityName(encoding.granularity), ...(nibbles === undefined ? [] : [nibbles])].join(' ');
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
  const [, rows, columns] = / block:([1-9]\d{0,6})x([1-9]\d{0,6})( |$)/.exec(how) ?? [];
  const nibbles = (['evenHigh', 'evenLow'] as const).find((order) => how.endsWith(` ${order}`));
  return {
    ...(rows === undefined || columns === undefined ? {} : { blockSize: [Number(rows), Number(columns)] as const }),
    ...(nibbles === undefined ? {} : { nibbles }),
  };
}
