// Every target through the real addon, as the job gives it: codes that an obvious cast gives, values that an independent reader and the addon's own
// give alike, and learned rounding that is never worse by the objective.
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { valuesOfCodes, type CodeMatrix } from '../../bench/model/storedCodes';
import { multiple, TARGETS, type Target } from '../../bench/targets/targets';
import type { FileRange, Quantizer, QuantizerEvent, QuantizerTask, QuantizeTask, StoredCodes } from '../../src/engine/job/quantizer';
import { loadBinding } from '../../src/engine/native/loadBinding';
import { NativeQuantizer } from '../../src/engine/native/nativeQuantizer';
import { temporaryFolder, type TemporaryFolder } from '../support/temporaryFolder';

const ROWS = 37;
const COLUMNS = 150;

let folder: TemporaryFolder;
let quantizer: Quantizer;
let source: string;
let weights: Float32Array;

beforeAll(async () => {
  folder = await temporaryFolder();
  quantizer = new NativeQuantizer(loadBinding(resolve('dist')));
  weights = Float32Array.from({ length: ROWS * COLUMNS }, (_, index) => {
    const row = Math.floor(index / COLUMNS);
    return Math.sin(index * 12.9898) * Math.cos(index * 0.37 + row) * 2 ** ((row % 4) - 6);
  });
  source = join(folder.path, 'source');
  await writeFile(source, weights);
});
afterAll(() => folder[Symbol.asyncDispose]());

describe.each(TARGETS)('$name', (target) => {
  test('nearest writes the nearest codes, and both readers give the same values', async () => {
    const { task, matrix, output } = await quantize(target, 'nearest');
    const values = valuesOfCodes(matrix);
    const scales = valuesOfCodes({ ...matrix, grid: 'int8', codes: new Uint8Array(matrix.codes.length).fill(1) });
    const pairScales = scalesOfPairs(matrix);
    const representable = [...gridOf(matrix)].sort((a, b) => a - b);
    const wrong = [...values].flatMap((value, index) => {
      // E2M1 has its codes in pairs, of which only the scale's place is asked for here.
      const scale = matrix.grid === 'e2m1' ? (pairScales[index] ?? NaN) : (scales[index] ?? NaN);
      const wanted = Math.abs(Math.fround((weights[index] ?? NaN) / scale));
      const distance = Math.abs(wanted - Math.abs(value) / scale);
      const least = representable.reduce((best, candidate) => Math.min(best, Math.abs(wanted - candidate)), Infinity);
      return distance === least ? [] : [index];
    });
    expect(wrong).toEqual([]);
    const plain = join(folder.path, 'values');
    await writeFile(plain, values);
    const [difference] = await run(
      [
        {
          kind: 'difference',
          id: 0,
          name: 'w',
          reference: { range: { file: 0, offset: 0, length: values.byteLength }, dtype: 'F32', scale: 1 },
          other: {
            range: { ...codeRange(task, matrix), file: 1 },
            dtype: 'U8',
            scale: 1,
            codes: { ...stored(task, matrix), scales: scaleRange(matrix, task, 1) },
          },
        },
      ],
      [plain, output],
    );
    expect(difference).toMatchObject({ type: 'compared', equal: true, squaredError: 0 });
  });

  test('learned is never worse by the objective, and its scales are told', async () => {
    const { result, matrix } = await quantize(target, 'learned');
    expect(result.objective).toBeLessThanOrEqual(result.objectiveNearest ?? NaN);
    const hasOne = matrix.block.rows === ROWS && matrix.block.columns === COLUMNS;
    expect(result.scale === undefined).toBe(!hasOne);
    if (hasOne) return;
    expect(result.scaleRange?.smallest).toBeGreaterThan(0);
    expect(result.scaleRange?.largest).toBeGreaterThanOrEqual(result.scaleRange?.smallest ?? NaN);
  });
});

test('storage that is none is refused by name', async () => {
  const { task } = taskFor(TARGETS[0]!, 'learned');
  const wrong: readonly (readonly [Partial<QuantizeTask>, RegExp])[] = [
    [{ scaleForm: 'e8m0' }, /block/],
    [{ block: { rows: 0, columns: 4 } }, /block/],
    [{ storedRows: ROWS - 1 }, /storedRows/],
    [{ grid: 'e2m1', storedColumns: COLUMNS + 1 }, /storedColumns/],
    [{ rounding: 'tpec', grid: 'int8' }, /rounding/],
  ];
  for (const [change, message] of wrong) await expect(run([{ ...task, ...change }], [source])).rejects.toThrow(message);
});

async function quantize(
  target: Target,
  rounding: 'nearest' | 'learned',
): Promise<{
  readonly task: QuantizeTask;
  readonly matrix: CodeMatrix;
  readonly output: string;
  readonly result: Extract<QuantizerEvent, { readonly type: 'quantized' }>;
}> {
  const { task, matrix: empty, bytes } = taskFor(target, rounding);
  const output = join(folder.path, `${target.name.replace(/\W+/g, '-')}-${rounding}`);
  await writeFile(output, new Uint8Array(bytes));
  const [result] = await run([task], [source], output);
  if (result?.type !== 'quantized') throw new Error('nothing was quantized');
  const written = await readFile(output);
  const scalesEnd = empty.codes.length + empty.scales.length;
  const matrix = {
    ...empty,
    codes: written.subarray(0, empty.codes.length),
    scales: written.subarray(empty.codes.length, scalesEnd),
    tensorScale: task.scaleForm === 'e4m3' ? written.readFloatLE(scalesEnd) : 1,
  };
  return { task, matrix, output, result };
}

function taskFor(
  target: Target,
  rounding: 'nearest' | 'learned',
): { readonly task: QuantizeTask; readonly matrix: CodeMatrix; readonly bytes: number } {
  const storage = target.storage(ROWS, COLUMNS);
  const { grid = 'e4m3', block = { rows: ROWS, columns: COLUMNS }, scaleForm = 'f32', scaleOrder = 'plain' } = storage;
  const { storedRows = ROWS, storedColumns = COLUMNS } = storage;
  const codeBytes = (storedRows * storedColumns) / (grid === 'e2m1' ? 2 : 1);
  const scaleRows = Math.ceil(ROWS / block.rows);
  const scaleColumns = Math.ceil(COLUMNS / block.columns);
  const scaleCount = scaleOrder === 'swizzled' ? multiple(scaleRows, 128) * multiple(scaleColumns, 4) : scaleRows * scaleColumns;
  const scaleBytes = scaleCount * (scaleForm === 'f32' ? 4 : 1);
  const task: QuantizeTask = {
    kind: 'quantize',
    id: 0,
    name: 'w',
    source: { file: 0, offset: 0, length: weights.byteLength },
    dtype: 'F32',
    rows: ROWS,
    columns: COLUMNS,
    ...storage,
    weightOffset: 0,
    scaleOffsets: [codeBytes],
    tensorScaleOffsets: scaleForm === 'e4m3' ? [codeBytes + scaleBytes] : [],
    rounding,
    topK: 0,
    numIter: 500,
    seed: 0,
  };
  const matrix: CodeMatrix = {
    grid,
    rows: ROWS,
    columns: COLUMNS,
    storedColumns,
    codes: new Uint8Array(codeBytes),
    block,
    scales: new Uint8Array(scaleBytes),
    scaleForm,
    scaleOrder,
    tensorScale: 1,
  };
  return { task, matrix, bytes: codeBytes + scaleBytes + 4 };
}

async function run(tasks: readonly QuantizerTask[], files: readonly string[], output?: string): Promise<readonly QuantizerEvent[]> {
  const job = { files, tasks, device: 'cpu', threads: 0, ...(output === undefined ? {} : { output }) };
  const events: QuantizerEvent[] = [];
  for await (const event of quantizer.run(job, new AbortController().signal)) {
    if (event.type === 'quantized' || event.type === 'compared') events.push(event);
  }
  return events;
}

function codeRange(task: QuantizeTask, matrix: CodeMatrix): FileRange {
  return { file: 0, offset: task.weightOffset, length: matrix.codes.length };
}

function scaleRange(matrix: CodeMatrix, task: QuantizeTask, file: number): FileRange {
  return { file, offset: task.weightOffset + matrix.codes.length, length: matrix.scales.length };
}

function stored(task: QuantizeTask, matrix: CodeMatrix): Omit<StoredCodes, 'scales'> {
  const { grid, block, scaleForm, scaleOrder, storedRows, storedColumns } = task;
  return {
    rows: ROWS,
    columns: COLUMNS,
    tensorScale: matrix.tensorScale,
    ...(grid === undefined ? {} : { grid }),
    ...(block === undefined ? {} : { block }),
    ...(scaleForm === undefined ? {} : { scaleForm }),
    ...(scaleOrder === undefined ? {} : { scaleOrder }),
    ...(storedRows === undefined ? {} : { storedRows }),
    ...(storedColumns === undefined ? {} : { storedColumns }),
  };
}

/** Magnitudes. */
function gridOf({ grid }: CodeMatrix): ReadonlySet<number> {
  const count = grid === 'e2m1' ? 8 : 128;
  const one = (code: number): number => {
    const codes = grid === 'e2m1' ? Uint8Array.of(code << 4) : Uint8Array.of(code);
    const unit: CodeMatrix = {
      grid,
      rows: 1,
      columns: 1,
      storedColumns: grid === 'e2m1' ? 2 : 1,
      codes,
      block: { rows: 1, columns: 1 },
      scales: Uint8Array.of(127),
      scaleForm: 'e8m0',
      scaleOrder: 'plain',
      tensorScale: 1,
    };
    return valuesOfCodes(unit)[0] ?? NaN;
  };
  return new Set(Array.from({ length: count }, (_, code) => one(code)).filter(Number.isFinite));
}

/** With every code 1 (½), twice the values are the scales. */
function scalesOfPairs(matrix: CodeMatrix): Float32Array {
  if (matrix.grid !== 'e2m1') return new Float32Array();
  return valuesOfCodes({ ...matrix, codes: new Uint8Array(matrix.codes.length).fill(0x11) }).map((value) => 2 * value);
}
