/** Header entries → tensors whose ranges cover the file's data exactly: the reference reader's checks, in its order. */
import { formatInteger } from '../../base/format';
import { DTYPES } from '../dtype';
import type { TensorInfo } from './header';
import type { HeaderEntry } from './headerJson';
import { invalid, quoted, type ReferenceRule } from './invalid';
import type { Whole } from './jsonScanner';

const MAX_U64 = 2n ** 64n - 1n;
const FAULTY = 'The file is damaged or was written by a faulty tool; download it or export it again.';

/** The tensors in file order. Throws InvalidSafetensors. */
export function validateEntries(entries: readonly HeaderEntry[], dataStart: number, fileSize: number): readonly TensorInfo[] {
  const sorted = inFileOrder(entries);
  let covered: Whole = 0;
  for (const entry of sorted) {
    checkEntry(entry, covered);
    covered = entry.end;
  }
  checkFileEnd(covered, fileSize - dataStart);
  // Every offset is now at most the file's size, so each is an exact number.
  return sorted.map((entry) => tensorInfo(entry, dataStart));
}

function inFileOrder(entries: readonly HeaderEntry[]): readonly HeaderEntry[] {
  const order = (a: HeaderEntry, b: HeaderEntry): number => compare(a.begin, b.begin) || compare(a.end, b.end);
  return [...entries].sort(order);
}

function compare(a: Whole, b: Whole): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function checkEntry({ name, dtype, shape, begin, end }: HeaderEntry, covered: Whole): void {
  const refuse = (rule: ReferenceRule, fault: string): never => {
    throw invalid(rule, `Tensor ${quoted(name)} ${fault}. ${FAULTY}`, name);
  };
  if (begin !== covered) {
    const fault = begin > covered ? 'leaves a hole' : 'overlaps another tensor';
    return refuse('InvalidOffset', `${fault}: it begins at byte ${begin} of the data, and byte ${covered} is next`);
  }
  if (end < begin) return refuse('InvalidOffset', `ends at byte ${end}, before it begins at ${begin}`);
  const bits = bitLength(shape, DTYPES[dtype].bits);
  if (bits === undefined) return refuse('ValidationOverflow', `has the shape [${shape.join(', ')}], whose size passes 64 bits`);
  const isWhole = typeof bits === 'bigint' ? bits % 8n === 0n : bits % 8 === 0;
  if (!isWhole) return refuse('MisalignedSlice', `has ${bits} bits (${dtype} [${shape.join(', ')}]), which are no whole bytes`);
  const needed = typeof bits === 'bigint' ? canonical(bits / 8n) : bits / 8;
  const given = difference(end, begin);
  if (needed !== given) refuse('TensorInvalidInfo', `has ${given} bytes, but ${dtype} [${shape.join(', ')}] needs ${needed}`);
}

/** Multiplied in the order of the dimensions, as the reference does: a zero saves only the dimensions after it. */
function bitLength(shape: readonly Whole[], bitsPerElement: number): Whole | undefined {
  let bits = 1;
  for (const dimension of shape) bits *= Number(dimension);
  bits *= bitsPerElement;
  // A product of zero says nothing of what it passed on the way; above 2^53 it is not exact.
  if (bits > 0 && bits <= Number.MAX_SAFE_INTEGER) return bits;
  let exact = 1n;
  for (const dimension of shape) {
    exact *= BigInt(dimension);
    if (exact > MAX_U64) return undefined;
  }
  exact *= BigInt(bitsPerElement);
  return exact > MAX_U64 ? undefined : canonical(exact);
}

function difference(a: Whole, b: Whole): Whole {
  return typeof a === 'number' && typeof b === 'number' ? a - b : canonical(BigInt(a) - BigInt(b));
}

function canonical(value: bigint): Whole {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function checkFileEnd(covered: Whole, dataSize: number): void {
  if (covered === dataSize) return;
  const message =
    covered > dataSize
      ? `The file ends ${grouped(difference(covered, dataSize))} bytes early (its data should have ${grouped(covered)} bytes and has ${grouped(dataSize)}). ` +
        'The download is incomplete: download the file again.'
      : `The file goes on for ${grouped(difference(dataSize, covered))} bytes after its last tensor. ${FAULTY}`;
  throw invalid('MetadataIncompleteBuffer', message);
}

function grouped(value: Whole): string {
  return typeof value === 'number' ? formatInteger(value) : value.toString();
}

function tensorInfo({ name, dtype, shape, begin, end }: HeaderEntry, dataStart: number): TensorInfo {
  const info = { name, dtype, shape, begin: dataStart + Number(begin), end: dataStart + Number(end) };
  return hasExactNumbers(shape) ? { ...info, shape } : { ...info, shape: shape.map(Number), exactShape: shape.map(String) };
}

function hasExactNumbers(shape: readonly Whole[]): shape is readonly number[] {
  return shape.every((dimension) => typeof dimension === 'number');
}
