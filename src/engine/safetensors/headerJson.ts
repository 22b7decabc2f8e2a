/** The header's JSON → its entries, typed but not yet checked against the file. */
import { isDtype, type Dtype } from '../dtype';
import { invalid, quoted } from './invalid';
import { JsonScanner, JsonSyntaxError, type Whole } from './jsonScanner';

export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly Whole[];
  /** Relative to the start of the data. */
  readonly begin: Whole;
  readonly end: Whole;
}

export interface HeaderEntries {
  /** By name; of entries with the same name the last one counts. */
  readonly tensors: ReadonlyMap<string, HeaderEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

const METADATA = '__metadata__';

/** Throws InvalidSafetensors (InvalidHeaderDeserialization). */
export function parseHeaderJson(text: string): HeaderEntries {
  const scanner = new JsonScanner(text);
  const tensors = new Map<string, HeaderEntry>();
  let metadata: ReadonlyMap<string, string> | undefined;
  let current: string | undefined;
  try {
    scanner.object((name) => {
      current = name;
      if (name === METADATA) {
        if (metadata !== undefined) scanner.fail(`${METADATA} is given twice`);
        metadata = scanMetadata(scanner);
      } else {
        tensors.set(name, scanTensor(scanner, name));
      }
      current = undefined;
    });
    scanner.end();
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    const subject = current === undefined || current === METADATA ? 'The header' : `The header's entry for tensor ${quoted(current)}`;
    throw invalid(
      'InvalidHeaderDeserialization',
      `${subject} is not valid: ${error.message} (character ${error.at}). The file is damaged or was written by a faulty tool; download it or export it again.`,
      current === METADATA ? undefined : current,
    );
  }
  return { tensors, metadata: metadata ?? new Map() };
}

function scanMetadata(scanner: JsonScanner): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (scanner.takeNull()) return metadata;
  scanner.object((key) => {
    if (scanner.peek() !== '"') scanner.fail(`the value of ${quoted(key)} in ${METADATA} must be a string`);
    metadata.set(key, scanner.string());
  });
  return metadata;
}

/** An object, or an array of dtype, shape and data_offsets: the reference reads both. */
function scanTensor(scanner: JsonScanner, name: string): HeaderEntry {
  const fields: TensorFields = { dtype: undefined, shape: undefined, data_offsets: undefined };
  switch (scanner.peek()) {
    case '{':
      scanner.object((field) => scanField(scanner, field, fields));
      break;
    case '[':
      scanner.array((index) =>
        scanField(scanner, FIELDS[index] ?? scanner.fail('expected dtype, shape, data_offsets and no more'), fields),
      );
      break;
    default:
      scanner.fail('expected an object with dtype, shape and data_offsets');
  }
  const { dtype, shape, data_offsets: offsets } = fields;
  if (dtype === undefined) return scanner.fail('dtype is missing');
  if (shape === undefined) return scanner.fail('shape is missing');
  if (offsets === undefined) return scanner.fail('data_offsets is missing');
  return { name, dtype, shape, begin: offsets[0], end: offsets[1] };
}

interface TensorFields {
  dtype: Dtype | undefined;
  shape: readonly Whole[] | undefined;
  data_offsets: readonly [Whole, Whole] | undefined;
}

const FIELDS = ['dtype', 'shape', 'data_offsets'] as const;

function scanField(scanner: JsonScanner, field: string, fields: TensorFields): void {
  switch (field) {
    case 'dtype':
      if (fields.dtype !== undefined) scanner.fail('dtype is given twice');
      fields.dtype = scanDtype(scanner);
      break;
    case 'shape':
      if (fields.shape !== undefined) scanner.fail('shape is given twice');
      fields.shape = scanWholes(scanner);
      break;
    case 'data_offsets':
      if (fields.data_offsets !== undefined) scanner.fail('data_offsets is given twice');
      fields.data_offsets = scanOffsets(scanner);
      break;
    default:
      scanner.skipValue();
  }
}

/** A string; or, as the reference's parser has it for every enumeration, an object such as `{"F32":null}`. */
function scanDtype(scanner: JsonScanner): Dtype {
  if (scanner.peek() !== '{') return dtypeNamed(scanner, scanner.string());
  let dtype: Dtype | undefined;
  scanner.object((text) => {
    if (dtype !== undefined || !scanner.takeNull()) scanner.fail('dtype must be a string');
    dtype = dtypeNamed(scanner, text);
  });
  return dtype ?? scanner.fail('dtype must be a string');
}

function dtypeNamed(scanner: JsonScanner, text: string): Dtype {
  return isDtype(text) ? text : scanner.fail(`dtype ${quoted(text)} is unknown`);
}

function scanOffsets(scanner: JsonScanner): readonly [Whole, Whole] {
  const offsets = scanWholes(scanner);
  return isPair(offsets) ? offsets : scanner.fail('data_offsets must be two integers');
}

function isPair(wholes: readonly Whole[]): wholes is readonly [Whole, Whole] {
  return wholes.length === 2;
}

function scanWholes(scanner: JsonScanner): readonly Whole[] {
  const wholes: Whole[] = [];
  scanner.array(() => wholes.push(scanner.whole()));
  return wholes;
}
