// Importance matrices of llama.cpp, written here byte by byte as its two formats are, and read as calibration.
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseImatrix } from '../../../../src/engine/imatrix/parseImatrix';
import { calibrationOfRecipe } from '../../../../src/engine/plan/readCalibrationFile';
import { headerOf } from '../../../support/headerOf';

const MODEL = headerOf({
  'model.layers.0.self_attn.q_proj.weight': ['BF16', 32, 8],
  'model.layers.3.mlp.down_proj.weight': ['BF16', 8, 24],
  'lm_head.weight': ['BF16', 40, 8],
});

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const floats = (values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const text = (value: string): Buffer => Buffer.concat([u64(value.length), Buffer.from(value)]);
const ramp = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

interface GgufTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

function gguf(tensors: readonly GgufTensor[], type = 'imatrix', version = 3): Buffer {
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    infos.push(text(name), u32(shape.length), ...shape.map(u64), u32(0), u64(offset));
    const bytes = floats(values);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 32) * 32);
    bytes.copy(padded);
    data.push(padded);
    offset += padded.length;
  }
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(3),
    ...[text('general.type'), u32(8), text(type)],
    ...[text('imatrix.datasets'), u32(9), u32(8), u64(2), text('a.txt'), text('b.txt')],
    ...[text('imatrix.chunk_size'), u32(4), u32(512)],
    ...infos,
  ]);
  const start = Buffer.alloc(Math.ceil(head.length / 32) * 32);
  head.copy(start);
  return Buffer.concat([start, ...data]);
}

const layer = (name: string, count: number, samples: number): readonly GgufTensor[] => [
  { name: `${name}.in_sum2`, shape: [count, 1], values: ramp(count) },
  { name: `${name}.counts`, shape: [1, 1], values: [samples] },
];

function listed(entries: readonly (readonly [string, number, readonly number[]])[]): Buffer {
  return Buffer.concat([
    u32(entries.length),
    ...entries.flatMap(([name, calls, values]) => [u32(name.length), Buffer.from(name), u32(calls), u32(values.length), floats(values)]),
    u32(7),
    u32(5),
    Buffer.from('a.txt'),
  ]);
}

describe('an importance matrix', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fp8-imatrix-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    [
      'new.gguf',
      gguf([...layer('blk.0.attn_q.weight', 8, 900), ...layer('blk.3.ffn_down.weight', 24, 800), ...layer('output.weight', 8, 5)]),
    ],
    [
      'old.dat',
      listed([
        ['blk.0.attn_q.weight', 900, ramp(8)],
        ['blk.3.ffn_down.weight', 800, ramp(24)],
        ['output.weight', 5, ramp(8)],
      ]),
    ],
  ])('is read as diagonals of layers: %s', async (name, bytes) => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    const { calibration } = await calibrationOfRecipe({ calibration: path, rounding: 'learned', statistics: 'auto' }, MODEL);
    expect([...(calibration?.byWeight.keys() ?? [])].sort()).toEqual(MODEL.tensors.map((tensor) => tensor.name).sort());
    const inputs = calibration?.byWeight.get('model.layers.3.mlp.down_proj.weight')?.inputs;
    expect(inputs).toMatchObject({ kind: 'diagonal', samples: 800, values: { dtype: 'F32', shape: [24] } });
    const { begin = 0, end = 0 } = inputs?.values ?? {};
    expect(Array.from({ length: (end - begin) / 4 }, (_, i) => bytes.readFloatLE(begin + 4 * i))).toEqual(ramp(24));
  });

  it.each<readonly [string, Buffer, RegExp]>([
    ['is a model', gguf(layer('blk.0.attn_q.weight', 8, 9), 'model'), /GGUF file of type "model", not an importance matrix/],
    ['is of another version', gguf(layer('blk.0.attn_q.weight', 8, 9), 'imatrix', 1), /GGUF version is 1/],
    ['has no counts', gguf([layer('blk.0.attn_q.weight', 8, 9)[0]!]), /"blk\.0\.attn_q\.weight\.counts" is missing/],
    ['is cut off', gguf(layer('blk.0.attn_q.weight', 8, 9)).subarray(0, 150), /ends before its last value/],
    ['has no layers', gguf([]), /has no layers/],
    ['is something else', Buffer.from('{"something": "else"}'), /neither a calibration file, nor a GGUF file, nor an importance matrix/],
    ['is a list that is cut off', listed([['blk.0.attn_q.weight', 900, ramp(8)]]).subarray(0, 50), /ends before its last value/],
  ])('is refused where it %s', (_what, bytes, message) => {
    expect(() => parseImatrix(bytes, '/i.gguf')).toThrow(message);
    expect(() => parseImatrix(bytes, '/i.gguf')).toThrow(/^\/i\.gguf: /);
  });

  it('of another model is refused by the sizes of its layers', async () => {
    const path = join(folder, 'other.gguf');
    await writeFile(path, gguf(layer('blk.0.attn_q.weight', 9, 5)));
    await expect(calibrationOfRecipe({ calibration: path, rounding: 'learned', statistics: 'auto' }, MODEL)).rejects.toThrow(
      /other\.gguf: .*"layers\.0\.self_attn\.q_proj\.input_diagonal" has shape \[9\] instead of \[8\]/,
    );
  });

  it('that is a model is refused by its beginning, however large it is', async () => {
    const path = join(folder, 'model.gguf');
    await writeFile(path, gguf([], 'model'));
    await truncate(path, 5 * 2 ** 30);
    const read = calibrationOfRecipe({ calibration: path, rounding: 'learned', statistics: 'auto' }, MODEL);
    await expect(read).rejects.toThrow(/model\.gguf: .*GGUF file of type "model", not an importance matrix/);
  });

  it('is read to its last count, where that is far behind its beginning', async () => {
    const path = join(folder, 'large.gguf');
    const others = { name: 'unused', shape: [600_000], values: ramp(600_000) };
    await writeFile(path, gguf([others, ...layer('blk.0.attn_q.weight', 8, 900)]));
    const { calibration } = await calibrationOfRecipe({ calibration: path, rounding: 'learned', statistics: 'auto' }, MODEL);
    expect(calibration?.byWeight.get('model.layers.0.self_attn.q_proj.weight')?.inputs?.samples).toBe(900);
  });

  it('passes over stacked experts and layers without a count', () => {
    const experts = { name: 'blk.0.ffn_up_exps.weight.in_sum2', shape: [8, 4], values: ramp(32) };
    const header = parseImatrix(gguf([experts, ...layer('blk.1.attn_v.weight', 8, 0), ...layer('blk.2.attn_v.weight', 8, 3)]), '/i.gguf');
    expect(header.tensors.map(({ name }) => name)).toEqual(['layers.2.self_attn.v_proj.input_diagonal']);
  });
});
