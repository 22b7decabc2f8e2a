/** A model whose conversion one thread does not end before something has happened meanwhile, on any machine: 210 MB. With `fp8.threads: 1`. */
import { open } from 'node:fs/promises';

const TENSORS = 64;
const SIZE = 1280;
/** Tensors may well be alike; making values takes longer than writing them. */
const DIFFERENT = 4;
const KINDS = ['self_attn.q_proj', 'self_attn.o_proj', 'mlp.up_proj', 'mlp.down_proj'];

export async function writeLargeModel(path: string): Promise<void> {
  const bytesPerTensor = SIZE * SIZE * 2;
  const entries = Array.from({ length: TENSORS }, (_, index) => [
    `model.layers.${index >> 2}.${KINDS[index & 3] ?? ''}.weight`,
    { dtype: 'BF16', shape: [SIZE, SIZE], data_offsets: [index * bytesPerTensor, (index + 1) * bytesPerTensor] },
  ]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path, 'wx');
  try {
    await file.write(Buffer.concat([length, json]));
    const made = Array.from({ length: DIFFERENT }, (_, index) => weights(bytesPerTensor, index + 1));
    for (let index = 0; index < TENSORS; index++) await file.write(made[index % DIFFERENT] ?? Buffer.alloc(0));
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
