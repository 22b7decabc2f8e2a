/** checkTensors: source header against converted file → what has become of every tensor, and what must still be compared. Pure. */
import { formatShape } from '../../../base/format';
import { isSourceDtype } from '../../dtype';
import type { Encoding } from '../../plan/encoding';
import { FORMATS } from '../../plan/formats/formats';
import { matrixOf } from '../../plan/matrix';
import { storedSize } from '../../plan/matrixStorage';
import type { Matrix, OutputFormat, StoredTensor } from '../../plan/outputFormat';
import { defaultRecipe, type Rounding } from '../../plan/recipe';
import { decide, ruleContext } from '../../plan/rules';
import type { SourceCodes } from '../../plan/plan';
import { layerOfWeight } from '../../plan/tensorNames';
import { sourceCodes, type StoredSource } from '../../plan/stored/sourceCodes';
import type { StoredWeight } from '../../plan/stored/storedWeight';
import { tensorEncodings } from '../../plan/tensorEncodings';
import type { Header, TensorInfo } from '../../safetensors/header';
import type { CompareTask, DifferenceTask, FileRange, TensorValues } from '../quantizer';
import { rangeOf, sourceValuesOf, storedCodesOf } from '../sourceValues';
import { layerOf, type ConvertedFile } from './convertedFile';
import type { Making } from './errorLimits';
import type { VerifiedState } from './verifyEvent';

export interface TensorCheck {
  readonly source: TensorInfo;
  readonly state: VerifiedState;
  readonly problems: readonly string[];
  readonly encoding?: Encoding;
  readonly making?: Making;
  /** Of a weight with a single one. */
  readonly scale?: number;
  /** Absent where there is nothing to compare. `id` is the check's index. */
  readonly task?: CompareTask | DifferenceTask;
  /** Of a bias that the file says was corrected: the weight whose rounding it takes over. */
  readonly corrects?: { readonly weight: string; readonly columns: number };
}

/** Whether the converted model has it as codes with scales. */
export function hasCodes({ state }: Pick<TensorCheck, 'state'>): boolean {
  return state === 'quantized' || state === 'migrated';
}

const MISSING = 'It is missing in the converted file.';

/** Whether nothing of a source is in the file, so that it is probably not its source. */
export function isOfAnotherSource(checks: readonly TensorCheck[]): boolean {
  return checks.length > 0 && checks.every(({ state, problems: [problem] }) => state === 'wrong' && problem === MISSING);
}

/** What a converted model is checked against. */
export interface CheckedSource {
  readonly header: Header;
  readonly fileCount: number;
  /** Where its codes count as the numbers that they stand for; the header is then that of the numbers. */
  readonly stored?: StoredSource;
}

/** One check per source tensor, in order. The compare tasks' files are the source's, and then those of the converted model. */
export function checkTensors(source: CheckedSource, converted: ConvertedFile): readonly TensorCheck[] {
  const { header, fileCount: sourceFiles } = source;
  const isRemoved = removals(header, converted);
  const makingOf = makings(converted);
  return header.tensors.map((tensor, id) => {
    const weight = converted.stored.byName.get(tensor.name);
    const { stored } = sourceCodes(tensor, source.stored);
    if (weight !== undefined && isSourceDtype(tensor.dtype)) {
      const facts = { id, sourceFiles, converted, making: makingOf(tensor.name), stored };
      const isAnew = stored === undefined || converted.provenance?.recipe.quantized === 'requantize';
      return isAnew ? checkQuantized(tensor, weight, facts) : checkMigrated(tensor, weight, stored, facts);
    }
    const found = converted.header.byName.get(tensor.name);
    if (found === undefined) {
      return isRemoved(tensor) ? { source: tensor, state: 'removed', problems: [] } : wrong(tensor, MISSING);
    }
    const unreadable = converted.stored.unreadable.get(tensor.name);
    if (unreadable !== undefined && isSourceDtype(tensor.dtype)) return wrong(tensor, unreadable);
    if (found.shape.join() !== tensor.shape.join()) return wrong(tensor, otherShape(found.shape, tensor.shape));
    if (isSourceDtype(found.dtype) && stored !== undefined) return checkDequantized(tensor, found, { id, sourceFiles, stored });
    if (found.dtype === tensor.dtype) return checkKept(tensor, found, id, sourceFiles, converted);
    return wrong(tensor, `Its dtype is ${found.dtype}, which cannot stand for the source's ${tensor.dtype}.`);
  });
}

/** What the file's own tensors say of themselves, by the numbers that its codes stand for; nothing else is compared. */
export function checkAlone(numbers: Header, converted: ConvertedFile): readonly TensorCheck[] {
  return numbers.tensors.map((tensor, id) => {
    const weight = converted.stored.byName.get(tensor.name);
    const unreadable = converted.stored.unreadable.get(tensor.name);
    if (unreadable !== undefined) return wrong(tensor, unreadable);
    // Codes that stand for themselves are weights of a smaller dtype.
    if (weight === undefined || (weight.scales === undefined && !isDescribed(layerOf(tensor), converted)))
      return withoutTask(checkKept(tensor, tensor, id, 0, converted));
    const check = withoutTask(checkQuantized(tensor, weight, { id, sourceFiles: 0, converted, making: 'any', stored: undefined }));
    if (check.state === 'wrong' || weight.rows * weight.columns === 0) return check;
    // Against itself, which tells values that are no numbers.
    const values = sourceValuesOf({ weight, ...sourceCodes(tensor, converted.stored).stored });
    return { ...check, task: { kind: 'difference', id, name: tensor.name, reference: values, other: values } };
  });
}

function isDescribed(layer: string, { comfyQuant, describedLayers }: ConvertedFile): boolean {
  return comfyQuant.has(layer) || (describedLayers instanceof Map && describedLayers.has(layer));
}

function withoutTask({ task: _, ...check }: TensorCheck): TensorCheck {
  return check;
}

/** Only the recipe that the file names can say that a tensor was left out on purpose. */
function removals(source: Header, { provenance }: ConvertedFile): (tensor: TensorInfo) => boolean {
  if (provenance === undefined) return () => false;
  const context = ruleContext(source, provenance.recipe, new Map());
  return (tensor) => decide(tensor, context).action === 'remove';
}

function makings({ provenance }: ConvertedFile): (tensor: string) => Making {
  if (provenance === undefined) return () => 'any';
  const { rounding, overrides, calibration } = provenance.recipe;
  const particular = tensorEncodings(defaultRecipe({ layout: 'plain', rounding, overrides: overrides.map(roundingAlone) }));
  return (tensor) => (particular.of(tensor).rounding === 'nearest' ? 'nearest' : calibration === null ? 'learned' : 'any');
}

/** Targets need a layout that holds them, and are not what is asked here. */
function roundingAlone({
  match,
  action,
  rounding,
}: {
  readonly match: string;
  readonly action: 'quantize' | 'keep' | 'remove';
  readonly rounding?: Rounding;
}) {
  return { match, action, ...(rounding === undefined ? {} : { rounding }) };
}

function checkKept(tensor: TensorInfo, found: TensorInfo, id: number, sourceFiles: number, converted: ConvertedFile): TensorCheck {
  const layer = layerOf(tensor);
  const scale = [`${tensor.name}_scale`, `${layer}.scale_weight`, `${layer}.weight_scale_inv`].find((name) =>
    converted.header.byName.has(name),
  );
  if (layerOfWeight(tensor.name) !== undefined && isSourceDtype(tensor.dtype) && scale !== undefined) {
    return wrong(tensor, `It is ${tensor.dtype} but has a scale: loaders would cast it to FP8 unscaled.`);
  }
  const length = tensor.end - tensor.begin;
  const kept: TensorCheck = { source: tensor, state: 'kept', problems: [] };
  if (length === 0) return kept;
  const ranges = { converted: rangeOf(found, sourceFiles), source: rangeOf(tensor) };
  const { dtype } = tensor;
  const corrects = correctedWeight(tensor, converted);
  if (corrects !== undefined && isSourceDtype(dtype)) {
    const values = (range: FileRange): TensorValues => ({ range, dtype, scale: 1 });
    const task = { kind: 'difference', id, name: tensor.name, reference: values(ranges.source), other: values(ranges.converted) } as const;
    return { ...kept, corrects, task };
  }
  // Without codes bytes are compared, and dtype and shape say nothing.
  return { ...kept, task: { kind: 'compare', id, name: tensor.name, ...ranges, dtype: 'BF16', rows: 1, columns: length } };
}

/** Only the rounding of its layer's weight is a reason to change a bias. */
function correctedWeight({ name }: TensorInfo, { correctedBiases, stored }: ConvertedFile): TensorCheck['corrects'] {
  const weight = name.replace(/\.bias$/, '.weight');
  const columns = stored.byName.get(weight)?.columns;
  return correctedBiases.has(name) && columns !== undefined ? { weight, columns } : undefined;
}

function checkDequantized(
  tensor: TensorInfo,
  found: TensorInfo,
  { id, sourceFiles, stored }: { readonly id: number; readonly sourceFiles: number; readonly stored: SourceCodes },
): TensorCheck {
  const checked: TensorCheck = { source: tensor, state: 'dequantized', problems: [] };
  if (found.end === found.begin || !isSourceDtype(found.dtype)) return checked;
  const other: TensorValues = { range: rangeOf(found, sourceFiles), dtype: found.dtype, scale: 1 };
  return { ...checked, task: { kind: 'difference', id, name: tensor.name, reference: sourceValuesOf(stored), other } };
}

interface QuantizedFacts {
  readonly id: number;
  readonly sourceFiles: number;
  readonly converted: ConvertedFile;
  readonly making: Making;
  /** Where the source has codes as well. */
  readonly stored: SourceCodes | undefined;
}

function checkQuantized(
  tensor: TensorInfo,
  weight: StoredWeight,
  { id, sourceFiles, converted, making, stored }: QuantizedFacts,
): TensorCheck {
  const problem = problemOfStorage(tensor, weight, converted) ?? converted.scales.get(tensor.name)?.problem;
  if (problem !== undefined) return wrong(tensor, problem);
  const { encoding, storage, codes, scales } = weight;
  const { rows, columns } = matrixOf(tensor);
  const scale = converted.scales.get(tensor.name)?.value;
  const checked: TensorCheck = {
    source: tensor,
    state: 'quantized',
    problems: [],
    encoding,
    making,
    ...(scale === undefined ? {} : { scale }),
  };
  if (rows * columns === 0 || !isSourceDtype(tensor.dtype) || scales === undefined) return checked;
  const tensorScale = converted.stored.tensorScales.get(tensor.name);
  const block = encoding.granularity.kind === 'row' ? { block: { rows: 1, columns } } : {};
  return {
    ...checked,
    task: {
      kind: 'compare',
      id,
      name: tensor.name,
      converted: rangeOf(codes, sourceFiles),
      source: rangeOf(tensor),
      ...(stored === undefined ? { dtype: tensor.dtype } : { dtype: 'F32', sourceCodes: storedCodesOf(stored) }),
      rows,
      columns,
      codes: {
        ...storage,
        ...block,
        rows,
        columns,
        scales: rangeOf(scales, sourceFiles),
        ...(weight.rows === rows ? {} : { storedRows: storedSize(storage, weight)[0] }),
        ...(weight.columns === columns ? {} : { storedColumns: storedSize(storage, weight)[1] }),
        ...(tensorScale === undefined ? {} : { tensorScale }),
      },
    },
  };
}

/** Nothing was rounded, so every number is to be what it was. */
function checkMigrated(tensor: TensorInfo, weight: StoredWeight, stored: SourceCodes, facts: QuantizedFacts): TensorCheck {
  const { task: asRounded, ...checked } = checkQuantized(tensor, weight, facts);
  if (asRounded === undefined) return checked;
  const { id, sourceFiles, converted } = facts;
  const codes = { weight, ...sourceCodes(tensor, converted.stored).stored };
  const task = {
    kind: 'difference',
    id,
    name: tensor.name,
    reference: sourceValuesOf(stored),
    other: sourceValuesOf(codes, sourceFiles),
  } as const;
  return { ...checked, state: 'migrated', task };
}

/** What is stored against what the layout's own table says of this weight. */
function problemOfStorage(tensor: TensorInfo, weight: StoredWeight, { layout, header, provenance }: ConvertedFile): string | undefined {
  const { codes, scales } = weight;
  const format = FORMATS[layout === 'unknown' ? weight.layout : layout];
  if (scales === undefined) return `It is ${codes.dtype} but has no scale.`;
  const matrix = matrixOf(tensor);
  const encoding = asBlocks(weight.encoding, format, matrix);
  if (format.holds[encoding.target] === undefined)
    return `Its codes are ${codes.dtype} (${encoding.target}), which its loader does not take. ${format.limits}`;
  if (format.holds[encoding.target]?.includes(encoding.granularity.kind) !== true) {
    return `Its scale ${scales.name} is ${scales.dtype} ${formatShape(scales.shape)}, which its loader does not take. ${format.limits}`;
  }
  const obstacle = format.obstacle(matrix, encoding);
  if (obstacle !== undefined) return obstacle;
  const wanted = format.store(layerOf(tensor), matrix, encoding, provenance?.recipe ?? defaultRecipe());
  if (!sameShape(codes.shape, wanted.weight.shape)) return otherShape(codes.shape, wanted.weight.shape);
  for (const [found, expected] of [
    [codes, wanted.weight],
    [scales, wanted.scales[0]],
    [weight.tensorScale, wanted.tensorScales[0]],
  ] as const) {
    if (expected === undefined) continue;
    if (found === undefined) return `It has no ${expected.name}.`;
    const other = header.byName.get(found.name);
    if (other !== undefined && !isStoredAs(other, expected)) {
      const [have, want] = [found, expected].map(({ dtype, shape }) => `${dtype} ${formatShape(shape)}`);
      return `Its ${found.name} is ${have ?? ''} instead of ${expected.name}, ${want ?? ''}.`;
    }
  }
  return undefined;
}

/** The scale of a matrix, or of each row, that is no larger than a block, in layouts that have blocks only. */
function asBlocks(encoding: Encoding, { holds }: OutputFormat, { rows, columns }: Matrix): Encoding {
  const kinds = holds[encoding.target] ?? [];
  const { kind } = encoding.granularity;
  if (kind === 'block' || kinds.includes(kind) || !kinds.includes('block')) return encoding;
  return { ...encoding, granularity: { kind: 'block', rows: kind === 'row' ? 1 : rows, columns } };
}

/** A single number may have any shape of one element. */
function isStoredAs({ name, dtype, shape }: TensorInfo, expected: StoredTensor): boolean {
  return name === expected.name && dtype === expected.dtype && sameShape(shape, expected.shape);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.join() === b.join() || (a.every((size) => size === 1) && b.every((size) => size === 1));
}

function otherShape(found: readonly number[], wanted: readonly number[]): string {
  return `Its shape is ${formatShape(found)} instead of ${formatShape(wanted)}.`;
}

function wrong(source: TensorInfo, problem: string): TensorCheck {
  return { source, state: 'wrong', problems: [problem] };
}
