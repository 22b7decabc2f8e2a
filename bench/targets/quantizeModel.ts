/** Quantizes a model's matrices with the native core, reads them back with a decoder of its own, and writes the values as a model in F32. */
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isSourceDtype } from '../../src/engine/dtype';
import type { QuantizedResult, QuantizerEvent, QuantizeTask, Statistics } from '../../src/engine/job/quantizer';
import { loadBinding } from '../../src/engine/native/loadBinding';
import { NativeQuantizer } from '../../src/engine/native/nativeQuantizer';
import type { TensorInfo } from '../../src/engine/safetensors/header';
import { valuesOfCodes, type CodeMatrix } from '../model/storedCodes';
import { tensorBytes, type TensorFile } from '../model/tensorFile';
import { multiple, type Target } from './targets';

export interface Way {
  readonly name: string;
  readonly rounding: 'nearest' | 'learned';
  readonly outputs?: Statistics;
}

interface Place {
  readonly tensor: TensorInfo;
  readonly rows: number;
  readonly columns: number;
  readonly task: QuantizeTask;
  readonly codeBytes: number;
  readonly scaleBytes: number;
}

/** Every matrix of the layers; the results are in the order of the file. */
export async function quantizeModel(file: TensorFile, target: Target, way: Way, path: string): Promise<readonly QuantizedResult[]> {
  const places = placesOf(file, target, way);
  const last = places.at(-1);
  const scratch = `${path}.codes`;
  await writeFile(scratch, '');
  await truncate(scratch, last === undefined ? 0 : endOf(last));
  const quantizer = new NativeQuantizer(loadBinding(resolve('dist')));
  const job = { files: [file.path], output: scratch, tasks: places.map(({ task }) => task), device: 'cpu', threads: 0 };
  const results: QuantizedResult[] = [];
  for await (const event of quantizer.run(job, new AbortController().signal)) collect(event, results);
  const bytes = await readFile(scratch);
  await rm(scratch);
  const values = new Map(places.map((place) => [place.tensor.name, valuesOf(place, bytes)]));
  await writeFile(path, modelBytes(file, values));
  return results;
}

function collect(event: QuantizerEvent, results: QuantizedResult[]): void {
  if (event.type === 'quantized') results[event.id] = event;
  if (event.type === 'nonFinite') throw new Error('The model has NaN or infinity.');
}

function placesOf(file: TensorFile, target: Target, way: Way): readonly Place[] {
  const places: Place[] = [];
  let offset = 0;
  for (const tensor of file.header.tensors) {
    const { dtype, name, begin, end } = tensor;
    const [rows = 0, columns = 0] = tensor.shape;
    if (tensor.shape.length !== 2 || !/\.layers\..*\.weight$/.test(name) || !isSourceDtype(dtype)) continue;
    const storage = target.storage(rows, columns);
    const { block = { rows, columns }, grid, scaleForm = 'f32', scaleOrder, storedRows = rows, storedColumns = columns } = storage;
    const codeBytes = (storedRows * storedColumns) / (grid === 'e2m1' ? 2 : 1);
    const scaleRows = Math.ceil(rows / block.rows);
    const scaleColumns = Math.ceil(columns / block.columns);
    const scales = scaleOrder === 'swizzled' ? multiple(scaleRows, 128) * multiple(scaleColumns, 4) : scaleRows * scaleColumns;
    const scaleBytes = scales * (scaleForm === 'f32' ? 4 : 1);
    const place: Place = {
      tensor,
      rows,
      columns,
      codeBytes,
      scaleBytes,
      task: {
        kind: 'quantize',
        id: places.length,
        name,
        source: { file: 0, offset: begin, length: end - begin },
        dtype,
        rows,
        columns,
        ...storage,
        weightOffset: offset,
        scaleOffsets: [offset + codeBytes],
        tensorScaleOffsets: scaleForm === 'e4m3' ? [offset + codeBytes + scaleBytes] : [],
        rounding: way.rounding,
        topK: 0,
        numIter: 500,
        seed: 0,
        ...(way.outputs === undefined ? {} : { outputs: way.outputs }),
      },
    };
    places.push(place);
    offset = endOf(place);
  }
  return places;
}

/** Room for the scale of the tensor is left whether there is one or not. */
function endOf({ task, codeBytes, scaleBytes }: Place): number {
  return multiple(task.weightOffset + codeBytes + scaleBytes + 4, 8);
}

function valuesOf({ task, rows, columns, codeBytes, scaleBytes }: Place, bytes: Uint8Array): Float32Array {
  const scalesBegin = task.weightOffset + codeBytes;
  const tensorScale = new DataView(bytes.buffer, bytes.byteOffset + scalesBegin + scaleBytes).getFloat32(0, true);
  const matrix: CodeMatrix = {
    grid: task.grid ?? 'e4m3',
    rows,
    columns,
    storedColumns: task.storedColumns ?? columns,
    codes: bytes.subarray(task.weightOffset, scalesBegin),
    block: task.block ?? { rows, columns },
    scales: bytes.subarray(scalesBegin, scalesBegin + scaleBytes),
    scaleForm: task.scaleForm ?? 'f32',
    scaleOrder: task.scaleOrder ?? 'plain',
    tensorScale: task.scaleForm === 'e4m3' ? tensorScale : 1,
  };
  return valuesOfCodes(matrix);
}

/** The model with these tensors in F32 and all others as they are. */
function modelBytes(file: TensorFile, values: ReadonlyMap<string, Float32Array>): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  const entries = file.header.tensors.map((tensor): [string, unknown] => {
    const replaced = values.get(tensor.name);
    const part = replaced === undefined ? tensorBytes(file, tensor) : new Uint8Array(replaced.buffer);
    parts.push(part);
    offset += part.length;
    const entry = {
      dtype: replaced === undefined ? tensor.dtype : 'F32',
      shape: tensor.shape,
      data_offsets: [offset - part.length, offset],
    };
    return [tensor.name, entry];
  });
  const header = JSON.stringify({ __metadata__: Object.fromEntries(file.header.metadata), ...Object.fromEntries(entries) });
  const text = new TextEncoder().encode(header.padEnd(multiple(header.length, 8)));
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(text.length), true);
  return Buffer.concat([prefix, text, ...parts]);
}
