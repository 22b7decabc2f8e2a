/** checkMeans: whether a recorded mean input can be that of the inputs beside it, whose mean of squares it cannot exceed. */
import { readSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { DTYPES, isValueDtype, type Dtype, type ValueDtype } from '../dtype';
import { EngineError } from '../errors';
import type { CalibratedSide } from '../plan/calibration';
import type { TensorInfo } from '../safetensors/header';
import { numbersOf } from '../numbersOf';

export interface RecordedMean {
  readonly weight: string;
  readonly mean: TensorInfo;
  readonly inputs: CalibratedSide;
}

/** Of each input: the mean of its squares, and where there are samples, their mean. */
interface SeenInputs {
  readonly squares: Float64Array;
  readonly mean?: Float64Array;
}

const READ_BYTES = 4 * 2 ** 20;
/** The mean may be of a whole run, and the squares of a part of it: rare large inputs may be missing there. */
const SQUARES_SLACK = 1.5;
const MEAN_SQUARE_SLACK = 0.05;
/** Samples of one text resemble each other, so that their mean differs by more than chance would have it. */
const MEAN_DEVIATIONS = 5;
/** Of a mean that was rounded to BF16. */
const ROUNDING = 2 ** -8;

/** Returns warnings. Everything that is named was read before, and is finite. Throws EngineError InvalidCalibration. */
export async function checkMeans(path: string, recorded: readonly RecordedMean[], signal: AbortSignal): Promise<readonly string[]> {
  if (recorded.length === 0) return [];
  const warnings: string[] = [];
  const file = await open(path, 'r').catch((error: unknown) => Promise.reject(EngineError.wrap(error, { path })));
  try {
    for (const item of recorded) {
      signal.throwIfAborted();
      const mean = await numbersAt(file, path, item.mean, 0, item.mean.shape[0] ?? 0);
      const seen = await seenInputs(file, path, item.inputs, mean.length);
      requirePossible(path, item, mean, seen.squares);
      if (seen.mean !== undefined && differs(mean, { mean: seen.mean, squares: seen.squares, samples: item.inputs.samples })) {
        warnings.push(
          `${path}: the mean in "${item.mean.name}" is not that of the samples in "${item.inputs.values.name}", which are what counts.`,
        );
      }
    }
  } finally {
    await file.close();
  }
  return warnings;
}

function requirePossible(path: string, { mean: { name }, inputs }: RecordedMean, mean: Float64Array, squares: Float64Array): void {
  const floor = MEAN_SQUARE_SLACK * (squares.reduce((sum, square) => sum + square, 0) / squares.length);
  const column = mean.findIndex((value, index) => value ** 2 > SQUARES_SLACK * (squares[index] ?? 0) + floor);
  if (column === -1) return;
  const [value, square] = [mean[column] ?? 0, squares[column] ?? 0];
  throw new EngineError(
    'InvalidCalibration',
    `${path}: the calibration tensor "${name}" contradicts "${inputs.values.name}": it says that input ${column} is ${value.toPrecision(3)} on average, whose square is more than ${square.toPrecision(3)}, the mean of that input's squares. Collect this layer anew, or remove the tensor from the file.`,
    { path, tensor: name },
  );
}

/** Over all inputs together, so that one that is seldom anything but zero does not decide. */
function differs(
  mean: Float64Array,
  seen: { readonly mean: Float64Array; readonly squares: Float64Array; readonly samples: number },
): boolean {
  let distance = 0;
  let expected = 0;
  for (const [index, value] of mean.entries()) {
    const own = seen.mean[index] ?? 0;
    distance += (value - own) ** 2;
    expected += (MEAN_DEVIATIONS ** 2 * Math.max(0, (seen.squares[index] ?? 0) - own ** 2)) / seen.samples + (ROUNDING * own) ** 2;
  }
  return distance > expected;
}

async function seenInputs(file: FileHandle, path: string, { kind, values }: CalibratedSide, size: number): Promise<SeenInputs> {
  switch (kind) {
    case 'diagonal':
      return { squares: await numbersAt(file, path, values, 0, size) };
    case 'secondMoment':
      return { squares: diagonalAt(file, path, values, size) };
    case 'samples':
      return sampledInputs(file, path, values, size);
  }
}

/** Its few bytes are far apart, and were read a moment ago: thousands of asynchronous reads would take longer than they. */
function diagonalAt({ fd }: FileHandle, path: string, { dtype, begin }: TensorInfo, size: number): Float64Array {
  const width = DTYPES[dtype].bits / 8;
  const bytes = new Uint8Array(size * width);
  for (let i = 0; i < size; i += 1) {
    if (readSync(fd, bytes, i * width, width, begin + (i * size + i) * width) < width) throw shortened(path);
  }
  return numbersOf(bytes, requireValueDtype(dtype));
}

async function sampledInputs(file: FileHandle, path: string, values: TensorInfo, size: number): Promise<SeenInputs> {
  const samples = values.shape[0] ?? 0;
  const [squares, mean] = [new Float64Array(size), new Float64Array(size)];
  const atOnce = Math.max(1, Math.floor(READ_BYTES / (size * bytesOf(values))));
  for (let begin = 0; begin < samples; begin += atOnce) {
    const numbers = await numbersAt(file, path, values, begin * size, Math.min(atOnce, samples - begin) * size);
    for (const [index, value] of numbers.entries()) {
      const column = index % size;
      squares[column] = (squares[column] ?? 0) + value ** 2 / samples;
      mean[column] = (mean[column] ?? 0) + value / samples;
    }
  }
  return { squares, mean };
}

/** `count` elements from number `first` on. */
async function numbersAt(file: FileHandle, path: string, tensor: TensorInfo, first: number, count: number): Promise<Float64Array> {
  const { dtype, begin } = tensor;
  const bytes = new Uint8Array(count * bytesOf(tensor));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, begin + first * bytesOf(tensor));
  if (bytesRead < bytes.length) throw shortened(path);
  return numbersOf(bytes, requireValueDtype(dtype));
}

function shortened(path: string): EngineError {
  const message = `${path} became shorter while it was read. Wait until nothing writes to it, then try again.`;
  return new EngineError('FileChanged', message, { path });
}

function requireValueDtype(dtype: Dtype): ValueDtype {
  if (isValueDtype(dtype)) return dtype;
  throw new EngineError('Internal', `statistics of ${dtype} were not refused`);
}

function bytesOf({ dtype }: TensorInfo): number {
  return DTYPES[dtype].bits / 8;
}
