/** makePlan: header + recipe → Plan. Pure and total: it names every source tensor once and fixes every byte range of the output. */
import { formatQuantity } from '../../base/format';
import { atOnce, slicedFlatMap, slicedMap, type Sliced } from '../../base/slices';
import { EngineError } from '../errors';
import { isSourceDtype } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import { feedersOf } from '../families/feeders';
import { layOutInSlices, type LayoutTensor } from '../safetensors/layout';
import { withCorrections } from './biasCorrection';
import { calibratedMeanOf, calibrationOf, calibrationWarnings, type Calibration } from './calibration';
import { withFusedSets } from './fusedDecisions';
import { FORMATS } from './formats/formats';
import { isConvolution, matrixOf } from './matrix';
import { paddedFrom } from './matrixStorage';
import { modelFamily } from './modelFamily';
import { NOTHING_MORE, type LiteralTensor, type OutputFormat, type QuantizedLayer, type StoredTensor } from './outputFormat';
import { outputMetadata } from './outputMetadata';
import type { OutputOrigin, Plan, PlannedTensor, TensorQuantization } from './plan';
import type { RuleId } from './decision';
import type { Recipe, Rounding } from './recipe';
import { decide, ruleContext } from './rules';
import { calibratedInputsOf, chooseStatistics, type DeviceKind, type KnownStatistics, type LostSignal } from './statistics';
import { paddingWarnings } from './stored/paddedSize';
import { sourceCodes, type StoredSource } from './stored/sourceCodes';
import { tensorEncodings, type TensorEncodings } from './tensorEncodings';
import { byteLengthOf, plannedBytes } from './plannedBytes';
import { layerOfWeight } from './tensorNames';
import { planWarnings } from './warnings';

export interface PlanOptions {
  readonly toolVersion: string;
  /** Tensors to keep although the rules would quantize them, with the reason, e.g. that they hold NaN. */
  readonly keepAnyway?: ReadonlyMap<string, string>;
  readonly calibration?: Calibration;
  /** Which device shall do it, as far as that decides anything; the CPU where it is not told. */
  readonly device?: DeviceKind;
  /** Weights of which the samples that are sent through the model say nothing after all. */
  readonly lostSignals?: ReadonlyMap<string, LostSignal>;
  /** Weights that the source has as codes; the header is then what dequantizedHeader makes of it. */
  readonly stored?: StoredSource;
}

type PlacedTensor = LayoutTensor & { readonly origin: OutputOrigin };

/** Throws EngineError InvalidRecipe where the layout cannot hold this source, or not as the recipe asks for it. */
export function makePlan(header: Header, recipe: Recipe, options: PlanOptions): Plan {
  return atOnce(planInSlices(header, recipe, options));
}

/** The same for a thread that has others to answer: tens of thousands of tensors take longer than those like to wait. */
export function* planInSlices(header: Header, recipe: Recipe, options: PlanOptions): Sliced<Plan> {
  const format = FORMATS[recipe.layout];
  const encodings = tensorEncodings(recipe);
  const context = ruleContext(header, recipe, options.keepAnyway ?? new Map(), encodings);
  const decided = yield* slicedMap(header.tensors, (source): PlannedTensor => {
    const decision = decide(source, context);
    const stored = sourceCodes(source, options.stored);
    if (decision.action !== 'quantize') return { source, ...decision, ...stored };
    const quantization = quantizationOf(source, decision.rule, format, recipe, encodings);
    return {
      source,
      ...decision,
      ...stored,
      quantization: { ...quantization, ...statisticsOf(source, header, quantization, recipe, options) },
    };
  });
  const tensors = withCorrections(format.projections === 'joined' ? withFusedSets(decided) : decided, recipe);
  refuseConvolutions(tensors, recipe);
  const layers = yield* slicedFlatMap(tensors, ({ source, quantization }): readonly QuantizedLayer[] => {
    const layer = layerOfWeight(source.name);
    if (quantization === undefined || layer === undefined) return [];
    return [{ layer, encoding: quantization.encoding, ...paddedFrom(quantization.stored.storage, quantization) }];
  });
  const refusal = format.refusal(layers, recipe);
  if (refusal !== undefined) throw new EngineError('InvalidRecipe', refusal);
  const wholeFile = layers.length > 0 ? format.wholeFile(layers, header, recipe) : NOTHING_MORE;
  const outputs = [...(yield* slicedFlatMap(tensors, outputsOf)), ...wholeFile.literals.map(literal)];
  yield* checkNames(outputs, header);
  const metadata = outputMetadata(header.metadata, wholeFile.metadata, {
    toolVersion: options.toolVersion,
    recipe,
    layers,
    correctedBiases: tensors.flatMap(({ source, correction }) => (correction === undefined ? [] : [source.name])),
  });
  const output = yield* layOutInSlices(outputs, metadata);
  const warnings = [
    ...(options.stored?.warnings ?? []),
    ...paddingWarnings(options.stored?.byName.values() ?? []),
    ...planWarnings(tensors, recipe, context.familyRuleOf, modelFamily(header).recognition),
    ...calibrationWarnings(options.calibration),
  ];
  return { recipe, tensors, output, warnings };
}

function quantizationOf(
  source: TensorInfo,
  rule: RuleId,
  format: OutputFormat,
  recipe: Recipe,
  encodings: TensorEncodings,
): TensorQuantization {
  const { name, dtype } = source;
  const layer = layerOfWeight(name);
  if (layer === undefined || !isSourceDtype(dtype)) throw new EngineError('Internal', `"${name}" cannot be quantized`, { tensor: name });
  const matrix = matrixOf(source);
  const { encoding, rounding } = encodings.of(name);
  const stored = format.store(layer, matrix, encoding, recipe);
  const { rows, columns } = matrix;
  return {
    sourceDtype: dtype,
    targetDtype: stored.weight.dtype,
    encoding,
    rounding: roundingOf(rule, rounding),
    rows,
    columns,
    weightName: name,
    stored,
  };
}

/** A table's rows are looked up alone, so that no error can make up for another; and `tpec` knows one scale only, of which a stack has several. */
function roundingOf(rule: RuleId, asked: Rounding): Rounding {
  if (rule === 'embedding-on-request') return 'nearest';
  return rule === 'experts' && asked === 'tpec' ? 'learned' : asked;
}

/** Who asks for convolutions and gets none should hear of it before the work, not after it. */
function refuseConvolutions(tensors: readonly PlannedTensor[], { convolutions, layout }: Recipe): void {
  if (convolutions !== 'quantize') return;
  const stopped = tensors.filter(({ rule, source }) => rule === 'layout' && isConvolution(source));
  const [first] = stopped;
  if (first === undefined) return;
  const others = stopped.length === 1 ? '' : ` and ${formatQuantity(stopped.length - 1, 'other')}`;
  const instead = layout === 'plain' ? 'another target' : `the layout plain instead of ${layout}`;
  throw new EngineError(
    'InvalidRecipe',
    `"${first.source.name}"${others} cannot be quantized. ${first.reason.replace(/^Layout: /, '')} Keep the convolutions, or choose ${instead}.`,
    { tensor: first.source.name },
  );
}

function statisticsOf(
  { name }: TensorInfo,
  header: Header,
  { rounding, columns }: Pick<TensorQuantization, 'rounding' | 'columns'>,
  recipe: Recipe,
  { calibration, device = 'cpu', lostSignals }: PlanOptions,
): Pick<TensorQuantization, 'statistics'> {
  if (rounding !== 'learned') return {};
  const reached = feedersOf(header, modelFamily(header).recognition).reached.has(name);
  const { silent, inputs } = calibration?.byWeight.get(name) ?? {};
  const known: KnownStatistics = {
    device,
    ...(silent === undefined ? {} : { silent }),
    ...(inputs === undefined ? {} : { calibratedInputs: calibratedInputsOf(inputs, columns) }),
    calibration: calibrationOf(calibration, name),
    calibratedMean: calibratedMeanOf(calibration, name) === undefined ? 'unknown' : 'known',
    propagation: reached ? (lostSignals?.get(name) ?? 'reached') : 'not reached',
  };
  return { statistics: chooseStatistics(recipe, known) };
}

/** The weight, then directly what belongs to it. */
function outputsOf(tensor: PlannedTensor): readonly PlacedTensor[] {
  const { source, action, quantization } = tensor;
  if (action === 'remove') return [];
  if (quantization === undefined)
    return [
      {
        ...namedLike(source),
        byteLength: plannedBytes(tensor),
        origin: { kind: tensor.stored === undefined ? 'copy' : 'dequantized', source },
      },
    ];
  const { weight, scales, tensorScales, literals } = quantization.stored;
  return [
    placed(weight, { kind: 'codes', source }),
    ...scales.map((scale) => placed(scale, { kind: 'scale', source })),
    ...tensorScales.map((scale) => placed(scale, { kind: 'tensorScale', source })),
    ...literals.map(literal),
  ];
}

function placed({ name, dtype, shape }: StoredTensor, origin: OutputOrigin): PlacedTensor {
  return { name, dtype, shape, byteLength: byteLengthOf({ dtype, shape }), origin };
}

function namedLike({ name, dtype, shape, exactShape }: TensorInfo): Pick<LayoutTensor, 'name' | 'dtype' | 'shape' | 'exactShape'> {
  return exactShape === undefined ? { name, dtype, shape } : { name, dtype, shape, exactShape };
}

function literal({ name, dtype, shape, bytes }: LiteralTensor): PlacedTensor {
  return { name, dtype, shape, byteLength: bytes.length, origin: { kind: 'literal', bytes } };
}

/** Names that come from the source are unique already, and those made for a layer differ by the layer. */
function* checkNames(outputs: readonly PlacedTensor[], header: Header): Sliced<void> {
  const [clash] = yield* slicedFlatMap(outputs, (output) => (isMade(output) && header.byName.has(output.name) ? [output] : []));
  if (clash === undefined) return;
  throw new EngineError(
    'InvalidRecipe',
    `The source already has a tensor "${clash.name}", which this layout would write. Choose another layout, or rename the tensor.`,
    { tensor: clash.name },
  );
}

function isMade({ name, origin }: PlacedTensor): boolean {
  switch (origin.kind) {
    case 'copy':
    case 'dequantized':
      return false;
    case 'codes':
      return origin.source.name !== name;
    case 'scale':
    case 'tensorScale':
    case 'literal':
      return true;
  }
}
