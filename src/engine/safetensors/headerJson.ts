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

function scanTensor(scanner: JsonScanner, name: string): HeaderEntry {
  let dtype: Dtype | undefined;
  let shape: readonly Whole[] | undefined;
  let offsets: readonly [Whole, Whole] | undefined;
  if (scanner.peek() !== '{') scanner.fail('expected an object with dtype, shape and data_offsets');
  scanner.object((field) => {
    switch (field) {
      case 'dtype':
        if (dtype !== undefined) scanner.fail('dtype is given twice');
        dtype = scanDtype(scanner);
        break;
      case 'shape':
        if (shape !== undefined) scanner.fail('shape is given twice');
        shape = scanWholes(scanner);
        break;
      case 'data_offsets':
        if (offsets !== undefined) scanner.fail('data_offsets is given twice');
        offsets = scanOffsets(scanner);
        break;
      default:
        scanner.skipValue();
    }
  });
  if (dtype === undefined) return scanner.fail('dtype is missing');
  if (shape === undefined) return scanner.fail('shape is missing');
  if (offsets === undefined) return scanner.fail('data_offsets is missing');
  return { name, dtype, shape, begin: offsets[0], end: offsets[1] };
}

function scanDtype(scanner: JsonScanner): Dtype {
  if (scanner.peek() !== '"') scanner.fail('dtype must be a string');
  const text = scanner.string();
  return isDtype(text) ? text : scanner.fail(`dtype ${quoted(text)} is unknown`);
}

function scanOffsets(scanner: JsonScanner): readonly [Whole, Whole] {
  const [begin, end, ...rest] = scanWholes(scanner);
  if (begin === undefined || end === undefined || rest.length > 0) return scanner.fail('data_offsets must be two integers');
  return [begin, end];
}

function scanWholes(scanner: JsonScanner): readonly Whole[] {
  const wholes: Whole[] = [];
  scanner.array(() => wholes.push(scanner.whole()));
  return wholes;
}
