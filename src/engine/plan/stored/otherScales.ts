/** otherScales: the scales of a weight in another form: as F32, or the one-byte ones in the other order. Exact. Pure. */
import { roundedUp, scaleGrid } from '../matrixStorage';
import type { StoredWeight } from './storedWeight';

const TILE_ROWS = 128;
const TILE_COLUMNS = 4;

/** `bytes` are those of the source; absent where its codes stand for themselves. */
export function otherScales(weight: StoredWeight, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) return new Uint8Array(Float32Array.of(1).buffer);
  switch (weight.storage.scaleForm) {
    case 'f16':
      return widened(bytes, halfBits);
    case 'bf16':
      return widened(bytes, (bits) => bits * 0x10000);
    case 'f32':
      return bytes;
    case 'e8m0':
    case 'e4m3':
      return reordered(bytes, weight);
  }
}

function widened(bytes: Uint8Array, bitsOf: (bits: number) => number): Uint8Array {
  const source = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const out = new DataView(new ArrayBuffer(2 * bytes.length));
  for (let i = 0; i < bytes.length / 2; i += 1) out.setUint32(4 * i, bitsOf(source.getUint16(2 * i, true)), true);
  return new Uint8Array(out.buffer);
}

/** The bits of F32 for those of F16; every F16 number is one of F32. */
function halfBits(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  const sign = bits & 0x8000 ? 0x80000000 : 0;
  if (exponent === 0x1f) return sign + 0x7f800000 + mantissa * 0x2000;
  if (exponent !== 0) return sign + (exponent + 112) * 0x800000 + mantissa * 0x2000;
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, mantissa * 2 ** -24);
  return sign + view.getUint32(0);
}

/** Between plain order and tiles of 128 × 4 scales, as 32 rows of 4 × 4. */
function reordered(bytes: Uint8Array, { rows, columns, storage }: StoredWeight): Uint8Array {
  const [height, width] = scaleGrid(rows, columns, storage.block);
  const tilesAcross = Math.ceil(width / TILE_COLUMNS);
  const isTiled = storage.scaleOrder === 'swizzled';
  const out = new Uint8Array(isTiled ? height * width : roundedUp(height, TILE_ROWS) * roundedUp(width, TILE_COLUMNS));
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const tile = Math.floor(row / TILE_ROWS) * tilesAcross + Math.floor(column / TILE_COLUMNS);
      const tiled = tile * TILE_ROWS * TILE_COLUMNS + (row % 32) * 16 + Math.floor((row % TILE_ROWS) / 32) * 4 + (column % TILE_COLUMNS);
      const plain = row * width + column;
      if (isTiled) out[plain] = bytes[tiled] ?? 0;
      else out[tiled] = bytes[plain] ?? 0;
    }
  }
  return out;
}
