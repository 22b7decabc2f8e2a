/** A model that takes long enough to convert that something can happen meanwhile. */
import { open } from 'node:fs/promises';

const TENSORS = 8;
const SIZE = 1536;

export async function writeLargeModel(path: string): Promise<void> {
  const bytesPerTensor = SIZE * SIZE * 2;
  const entries = Array.from({ length: TENSORS }, (_, index) => [
    `model.layers.${index}.mlp.up_proj.weight`,
    { dtype: 'BF16', shape: [SIZE, SIZE], data_offsets: [index * bytesPerTensor, (index + 1) * bytesPerTensor] },
  ]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path, 'wx');
  try {
    await file.write(Buffer.concat([length, json]));
    for (let index = 0; index < TENSORS; index++) await file.write(weights(bytesPerTensor, index + 1));
  } finally {
    await file.close();
  }
}

/** BF16 values between about 2⁻⁷ and 2⁻³, of either sign; the same for the same seed. */
function weights(bytes: number, seed: number): Buffer {
  const values = new Uint16Array(bytes / 2);
  let state = seed;
  for (let index = 0; index < values.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[index] = ((state >>> 31) << 15) | ((120 + ((state >>> 16) & 3)) << 7) | ((state >>> 20) & 0x7f);
  }
  return Buffer.from(values.buffer);
}
