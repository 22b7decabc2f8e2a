/** runVerify: one converted file against its source, from the request to its terminal event. Reads only. */
import { EngineError } from '../../errors';
import { encodingText } from '../../plan/chooseEncoding';
import { dequantizedHeader } from '../../plan/stored/dequantizedHeader';
import { layerOfCompanion } from '../../plan/tensorNames';
import { NUMBERS } from '../../plan/stored/sourceForRecipe';
import { readModelSource } from '../../safetensors/modelSource';
import { ProgressMeter, type MeteredTask } from '../progressMeter';
import type { ComparedResult, Quantizer } from '../quantizer';
import { checkLayout } from './checkLayout';
import { checkAlone, checkTensors, isOfAnotherSource, type TensorCheck } from './checkTensors';
import { readConverted } from './convertedFile';
import { problemOfCorrection } from './correctionLimit';
import { problemOfError, problemOfNumbers } from './errorLimits';
import { sourceToVerify } from './sourceToVerify';
import {
  MEASURED_STATES,
  type TensorVerification,
  type VerifiedState,
  type VerifyEnd,
  type VerifyEvent,
  type VerifyReport,
  type VerifyRequest,
} from './verifyEvent';

const PROGRESS_INTERVAL_SECONDS = 0.1;

/** Ends with exactly one of `done`, `failed` and `cancelled`, and never throws. */
export async function* runVerify(
  request: VerifyRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, void, undefined> {
  let end: VerifyEnd;
  try {
    end = { type: 'done', report: yield* verify(request, quantizer, signal) };
  } catch (error) {
    const failure = EngineError.wrap(error);
    end = signal.aborted || failure.code === 'Cancelled' ? { type: 'cancelled' } : { type: 'failed', error: failure.toJSON() };
  }
  yield end;
}

async function* verify(
  request: VerifyRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, VerifyReport, undefined> {
  const startedAt = performance.now();
  if (request.source === undefined) return yield* verifyAlone(request, startedAt, quantizer, signal);
  const asItIs = await readModelSource(request.source);
  const file = await readConverted(request.converted);
  const { source, stored } = await sourceToVerify(asItIs, file);
  const checks = checkTensors({ header: source.header, fileCount: source.files.length, ...(stored === undefined ? {} : { stored }) }, file);
  const about = {
    converted: request.converted,
    source: request.source,
    layout: file.layout,
    ...(file.provenance === undefined ? {} : { writtenBy: file.provenance.version }),
  };
  if (isOfAnotherSource(checks)) {
    // Every other finding would follow from this one.
    const problem = `No tensor of ${request.source} is in the file: was it converted from another one?`;
    return { ...about, ok: false, tensors: [], problems: [problem], warnings: [], seconds: (performance.now() - startedAt) / 1000 };
  }
  const layout = checkLayout(source.header, file, checks);
  const compared = yield* compare(checks, [...source.files, ...file.files], verificationOf, request, quantizer, signal);
  const ids = new Map(checks.map(({ source: { name } }, id) => [name, id]));
  const resultOf = (name: string): ComparedResult | undefined => compared.get(ids.get(name) ?? -1);
  const tensors = checks.map((check, id) => verificationOf(check, compared.get(id), resultOf));
  const resultsOf = (state: VerifiedState): readonly ComparedResult[] =>
    [...compared].filter(([id]) => checks[id]?.state === state).map(([, result]) => result);
  const measured = MEASURED_STATES.map(resultsOf).find(({ length }) => length > 0);
  return {
    ...about,
    ok: layout.problems.length === 0 && tensors.every(({ problems }) => problems.length === 0),
    tensors,
    ...layout,
    ...(measured === undefined ? {} : { relativeError: relativeError(sum(measured, 'squaredError'), sum(measured, 'squaredSource')) }),
    seconds: (performance.now() - startedAt) / 1000,
  };
}

/** By its loader's rules alone, and whether its codes stand for numbers. */
async function* verifyAlone(
  request: VerifyRequest,
  startedAt: number,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, VerifyReport, undefined> {
  const { converted } = request;
  const file = await readConverted(converted);
  const header = dequantizedHeader(file.header, file.stored, NUMBERS);
  const checks = checkAlone(header, file);
  const owners = [...header.byName].filter(([name]) => layerOfCompanion(name) === undefined);
  const layout = checkLayout({ byName: new Map(owners) }, file, checks);
  const compared = yield* compare(checks, file.files, verificationAlone, request, quantizer, signal);
  const tensors = checks.map((check, id) => verificationAlone(check, compared.get(id)));
  return {
    converted,
    layout: file.layout,
    ...(file.provenance === undefined ? {} : { writtenBy: file.provenance.version }),
    ok: layout.problems.length === 0 && tensors.every(({ problems }) => problems.length === 0),
    tensors,
    ...layout,
    seconds: (performance.now() - startedAt) / 1000,
  };
}

async function* compare(
  checks: readonly TensorCheck[],
  files: readonly string[],
  tell: (check: TensorCheck, result: ComparedResult | undefined) => TensorVerification,
  request: VerifyRequest,
  quantizer: Quantizer,
  signal: AbortSignal,
): AsyncGenerator<VerifyEvent, ReadonlyMap<number, ComparedResult>, undefined> {
  const compared = new Map<number, ComparedResult>();
  const tasks = checks
    .flatMap(({ task }) => task ?? [])
    .map((task) => ({ task, range: task.kind === 'compare' ? task.source : task.reference.range }))
    .sort((a, b) => a.range.file - b.range.file || a.range.offset - b.range.offset);
  for (const check of checks) {
    if (check.task === undefined) yield { type: 'tensorVerified', tensor: tell(check, undefined) };
  }
  if (tasks.length === 0) return compared;
  const meter = new ProgressMeter(
    new Map(tasks.map(({ task: { id, name }, range: { length } }): [number, MeteredTask] => [id, { name, work: length, bytes: length }])),
  );
  const job = { files, tasks: tasks.map(({ task }) => task), device: 'cpu', threads: request.threads };
  let lastProgress = -Infinity;
  for await (const event of quantizer.run(job, signal)) {
    if (event.type === 'started') meter.started(event.id);
    else if (event.type === 'progress') meter.advanced(event.id, event.fraction);
    else if (event.type === 'compared') {
      const { id } = event;
      const check = checks[id];
      if (check === undefined) throw new EngineError('Internal', `the quantizer told of task ${id}, which the job does not have`);
      compared.set(id, event);
      meter.finished(id);
      yield { type: 'tensorVerified', tensor: tell(check, event) };
    }
    const now = performance.now() / 1000;
    if (now - lastProgress < PROGRESS_INTERVAL_SECONDS) continue;
    lastProgress = now;
    yield meter.snapshot();
  }
  return compared;
}

/** While it goes on, the results of other tensors are not told: only the report sees a corrected bias beside its weight. */
function verificationOf(
  check: TensorCheck,
  result: ComparedResult | undefined,
  resultOf: (name: string) => ComparedResult | undefined = () => undefined,
): TensorVerification {
  const { source, state, problems, scale, encoding, corrects } = check;
  const common = {
    name: source.name,
    ...(encoding === undefined ? {} : { encoding: encodingText(encoding) }),
    ...(scale === undefined ? {} : { scale }),
  };
  if (result === undefined) return { ...common, state, problems };
  if (corrects !== undefined && !result.equal) {
    const problem = problemOfCorrection(result, resultOf(corrects.weight), corrects.columns);
    if (problem !== undefined) return { ...common, state: 'wrong', problems: [...problems, problem] };
    return { ...common, state: 'corrected', problems, maxAbsoluteError: result.maxAbsoluteError };
  }
  if (state === 'kept') {
    return result.equal
      ? { ...common, state, problems }
      : { ...common, state: 'wrong', problems: [...problems, 'Its bytes differ from the source although it is kept.'] };
  }
  const error = relativeError(result.squaredError, result.squaredSource);
  const found = [...problems];
  if (state === 'migrated') {
    if (!result.equal) found.push(`Its codes and scales stand for other numbers than the source's, by ${(100 * error).toPrecision(3)} %.`);
  } else if (state === 'dequantized') {
    const problem = check.task?.kind === 'difference' ? problemOfNumbers(result, check.task.other.dtype, source.shape) : undefined;
    if (problem !== undefined) found.push(problem);
  } else if (result.nonFiniteCount > 0) found.push(nonFinite(result));
  else {
    const problem = encoding === undefined ? undefined : problemOfError(result, encoding, check.making ?? 'any', source.shape);
    if (problem !== undefined) found.push(problem);
  }
  return {
    ...common,
    state: found.length === 0 ? state : 'wrong',
    problems: found,
    relativeError: error,
    maxAbsoluteError: result.maxAbsoluteError,
  };
}

/** Of a result of a tensor against itself. */
function verificationAlone(check: TensorCheck, result: ComparedResult | undefined): TensorVerification {
  const verification = verificationOf(check, undefined);
  if (result === undefined || result.nonFiniteCount === 0) return verification;
  return { ...verification, state: 'wrong', problems: [...verification.problems, nonFinite(result)] };
}

function nonFinite({ nonFiniteCount }: ComparedResult): string {
  return nonFiniteCount === 1 ? 'One of its values is NaN or infinite.' : `${nonFiniteCount} of its values are NaN or infinite.`;
}

/** Zeros for zeros is exact; anything else for zeros is infinitely wrong. */
function relativeError(squaredError: number, squaredSource: number): number {
  return squaredError === 0 ? 0 : Math.sqrt(squaredError / squaredSource);
}

function sum(results: readonly ComparedResult[], field: 'squaredError' | 'squaredSource'): number {
  return results.reduce((total, result) => total + result[field], 0);
}
