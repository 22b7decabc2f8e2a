/**
 * parseImatrix: llama.cpp's importance matrices, which are mean squares of the inputs of each layer, as the header of a calibration file. Pure.
 *
 * Two forms: GGUF files with `<name>.in_sum2` and `<name>.counts`, and the older list of entries without a magic number. Names are llama.cpp's;
 * those of LLaMA-shaped models become the names that transformers gives them.
 */
import { EngineError } from '../errors';
import type { Header, TensorInfo } from '../safetensors/header';

const GGUF_MAGIC = 0x46554747;
const SUMS = '.in_sum2';
const COUNTS = '.counts';
const F32 = 0;

const PARTS: Readonly<Record<string, string>> = {
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_qkv: 'self_attn.qkv_proj',
  attn_output: 'self_attn.o_proj',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

export function isGguf(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) === GGUF_MAGIC;
}

/** What was asked of a file's beginning lies behind it. */
export class BeyondBeginning extends Error {
  constructor(readonly neededBytes: number) {
    super(`the first ${neededBytes} bytes are needed`);
  }
}

/**
 * The beginning of a file, or all of it. Throws BeyondBeginning where that is not enough to tell, and EngineError InvalidCalibration, which names
 * the file and what is wrong.
 */
export function parseImatrix(bytes: Uint8Array, path: string, fileSize: number = bytes.length): Header {
  const reader = new Reader(bytes, path, fileSize);
  const entries = isGguf(bytes) ? ggufEntries(reader) : listedEntries(reader);
  if (entries.length === 0) return reader.fail('it has no layers');
  const tensors = entries.map(({ name, begin, end }): TensorInfo => {
    return { name: `${layerOf(name)}.input_diagonal`, dtype: 'F32', shape: [(end - begin) / 4], begin, end };
  });
  const metadata = new Map(entries.map(({ name, count }) => [`${layerOf(name)}.input_samples`, String(count)]));
  return {
    tensors,
    byName: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    metadata,
    dataStart: 0,
    fileSize,
  };
}

/** Sums of squares of one layer's inputs, and of how many. */
interface Entry {
  readonly name: string;
  readonly begin: number;
  readonly end: number;
  readonly count: number;
}

function layerOf(name: string): string {
  const layer = name.replace(/\.weight$/, '');
  const found = /^blk\.(\d+)\.(\w+)$/.exec(layer);
  const part = PARTS[found?.[2] ?? ''];
  if (found !== null && part !== undefined) return `layers.${found[1] ?? ''}.${part}`;
  return layer === 'output' ? 'lm_head' : layer;
}

function ggufEntries(reader: Reader): readonly Entry[] {
  reader.skip(4);
  const version = reader.uint32();
  if (version !== 2 && version !== 3) reader.fail(`its GGUF version is ${version}; 2 and 3 are known`);
  const tensorCount = reader.uint64();
  const keyCount = reader.uint64();
  if (tensorCount > 1_000_000) reader.fail(`it says that it has ${tensorCount} tensors`);
  let alignment = 32;
  for (let i = 0; i < keyCount; i += 1) {
    const key = reader.text();
    const value = reader.value(reader.uint32());
    if (key === 'general.alignment' && typeof value === 'number' && value > 0) alignment = value;
    if (key === 'general.type' && value !== 'imatrix')
      reader.fail(`it is a GGUF file of type "${String(value)}", not an importance matrix`);
  }
  const tensors = Array.from({ length: tensorCount }, () => {
    const name = reader.text();
    const shape = Array.from({ length: reader.uint32() }, () => reader.uint64());
    return { name, shape, type: reader.uint32(), offset: reader.uint64() };
  });
  const dataStart = Math.ceil(reader.position / alignment) * alignment;
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return tensors.flatMap(({ name, shape: [size = 0, ...others], type, offset }): readonly Entry[] => {
    if (!name.endsWith(SUMS)) return [];
    const layer = name.slice(0, -SUMS.length);
    if (type !== F32) reader.fail(`"${name}" is not F32`);
    // Of stacked experts, each has sums of its own; their weights are no single matrix either.
    if (size === 0 || others.some((count) => count !== 1)) return [];
    const counts = byName.get(layer + COUNTS);
    if (counts === undefined) return reader.fail(`"${layer}${COUNTS}" is missing`);
    const begin = dataStart + offset;
    const count = Math.round(reader.float32At(dataStart + counts.offset));
    reader.require(begin, 4 * size);
    return count > 0 ? [{ name: layer, begin, end: begin + 4 * size, count }] : [];
  });
}

function listedEntries(reader: Reader): readonly Entry[] {
  const length = reader.int32();
  if (length < 1 || length > 1_000_000) reader.fail('it is neither a calibration file, nor a GGUF file, nor an importance matrix');
  return Array.from({ length }, () => {
    const nameLength = reader.int32();
    if (nameLength < 1 || nameLength > 1024) reader.fail('it is neither a calibration file, nor a GGUF file, nor an importance matrix');
    const name = reader.characters(nameLength);
    const count = Math.max(1, reader.int32());
    const begin = reader.position + 4;
    const end = begin + 4 * reader.int32();
    reader.skip(end - begin);
    return { name, begin, end, count };
  }).filter(({ begin, end }) => end > begin);
}

/** Reads little-endian numbers, and refuses to leave the file. */
class Reader {
  readonly #view: DataView;
  position = 0;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly path: string,
    private readonly fileSize: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(problem: string): never {
    throw new EngineError('InvalidCalibration', `${this.path}: the calibration file cannot be used: ${problem}.`, { path: this.path });
  }

  require(begin: number, length: number): void {
    if (length < 0 || begin < 0 || begin + length > this.fileSize) this.fail('it ends before its last value');
  }

  /** Where bytes are not passed over but read. */
  #present(begin: number, length: number): number {
    this.require(begin, length);
    if (begin + length > this.bytes.length) throw new BeyondBeginning(begin + length);
    return begin;
  }

  #next(length: number): number {
    const begin = this.#present(this.position, length);
    this.position += length;
    return begin;
  }

  skip(length: number): number {
    this.require(this.position, length);
    const begin = this.position;
    this.position += length;
    return begin;
  }

  int32(): number {
    return this.#view.getInt32(this.#next(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#next(4), true);
  }

  uint64(): number {
    const value = Number(this.#view.getBigUint64(this.#next(8), true));
    return Number.isSafeInteger(value) ? value : this.fail('a number in it is too large');
  }

  float32At(offset: number): number {
    return this.#view.getFloat32(this.#present(offset, 4), true);
  }

  characters(length: number): string {
    const begin = this.#next(length);
    return new TextDecoder().decode(this.bytes.subarray(begin, begin + length));
  }

  text(): string {
    return this.characters(this.uint64());
  }

  /** Of GGUF's numbered types; what is of no use here is only passed over. */
  value(type: number): number | string | undefined {
    const sizes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
    if (type === 4) return this.uint32();
    if (type === 8) return this.text();
    if (type === 9) {
      const element = this.uint32();
      for (let left = this.uint64(); left > 0; left -= 1) this.value(element);
      return undefined;
    }
    this.skip(sizes[type] ?? this.fail(`its metadata has a value of the unknown type ${type}`));
    return undefined;
  }
}
