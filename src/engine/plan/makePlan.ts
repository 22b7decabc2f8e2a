/** makePlan: header + recipe → Plan. Pure and total: it names every source tensor once and fixes every byte range of the output. */
import { EngineError } from '../errors';
import { isSourceDtype } from '../dtype';
import type { Header, TensorInfo } from '../safetensors/header';
import { feedersOf } from '../families/feeders';
import { layOut, type LayoutTensor } from '../safetensors/layout';
import { withCorrections } from './biasCorrection';
import { calibratedMeanOf, calibrationOf, type Calibration } from './calibration';
import { comfyui } from './formats/comfyui';
import { comfyuiLegacy } from './formats/comfyuiLegacy';
import { modelFamily } from './modelFamily';
import type { LiteralTensor, OutputFormat } from './outputFormat';
import { outputMetadata } from './outputMetadata';
import type { OutputOrigin, Plan, PlannedTensor, TensorQuantization } from './plan';
import type { Layout, Recipe } from './recipe';
import { decide, ruleContext } from './rules';
import { chooseStatistics, type KnownStatistics } from './statistics';
import { layerOfWeight } from './tensorNames';
import { planWarnings } from './warnings';

export interface PlanOptions {
  readonly toolVersion: string;
  /** Tensors to keep although the rules would quantize them, with the reason, e.g. that they hold NaN. */
  readonly keepAnyway?: ReadonlyMap<string, string>;
  readonly calibration?: Calibration;
}

type PlacedTensor = LayoutTensor & { readonly origin: OutputOrigin };

const FORMATS: Readonly<Record<Layout, OutputFormat>> = { comfyui, 'comfyui-legacy': comfyuiLegacy };

/** Throws EngineError InvalidRecipe where the layout cannot hold this source. */
export function makePlan(header: Header, recipe: Recipe, options: PlanOptions): Plan {
  const format = FORMATS[recipe.layout];
  const context = ruleContext(header, recipe, options.keepAnyway ?? new Map());
  const decided = header.tensors.map((source): PlannedTensor => {
    const decision = decide(source, context);
    return decision.action === 'quantize'
      ? {
          source,
          ...decision,
          quantization: { ...quantizationOf(source, format, recipe), ...statisticsOf(source, header, recipe, options) },
        }
      : { source, ...decision };
  });
  const tensors = withCorrections(decided, recipe);
  const layers = tensors.flatMap(({ quantization }) => layerOfWeight(quantization?.weightName ?? '') ?? []);
  const wholeFile = layers.length > 0 ? format.wholeFile(layers, header, recipe) : { literals: [], metadata: new Map<string, string>() };
  const outputs = [...tensors.flatMap((tensor) => outputsOf(tensor, format)), ...wholeFile.literals.map(literal)];
  checkNames(outputs, header);
  const metadata = outputMetadata(header.metadata, wholeFile.metadata, {
    toolVersion: options.toolVersion,
    recipe,
    correctedBiases: tensors.flatMap(({ source, correction }) => (correction === undefined ? [] : [source.name])),
  });
  const output = layOut(outputs, metadata);
  return { recipe, tensors, output, warnings: planWarnings(tensors, recipe) };
}

function quantizationOf({ name, dtype, shape }: TensorInfo, format: OutputFormat, recipe: Recipe): TensorQuantization {
  const layer = layerOfWeight(name);
  const [rows, ...rest] = shape;
  if (layer === undefined || rows === undefined || !isSourceDtype(dtype))
    throw new EngineError('Internal', `"${name}" cannot be quantized`, { tensor: name });
  const columns = rest.reduce((product, dimension) => product * dimension, 1);
  return { sourceDtype: dtype, targetDtype: 'F8_E4M3', rows, columns, weightName: name, scaleNames: format.scaleNames(layer, recipe) };
}

function statisticsOf(
  { name }: TensorInfo,
  header: Header,
  recipe: Recipe,
  { calibration }: PlanOptions,
): Pick<TensorQuantization, 'statistics'> {
  if (recipe.rounding !== 'learned') return {};
  const reached = feedersOf(header, modelFamily(header).recognition).reached.has(name);
  const known: KnownStatistics = {
    calibration: calibrationOf(calibration, name),
    calibratedMean: calibratedMeanOf(calibration, name) === undefined ? 'unknown' : 'known',
    propagation: reached ? 'reached' : 'not reached',
  };
  return { statistics: chooseStatistics(recipe, known) };
}

/** The weight, then directly what belongs to it. */
function outputsOf({ source, action, quantization }: PlannedTensor, format: OutputFormat): readonly PlacedTensor[] {
  if (action === 'remove') return [];
  if (quantization === undefined)
    return [{ ...namedLike(source), byteLength: source.end - source.begin, origin: { kind: 'copy', source } }];
  const { targetDtype, weightName, scaleNames, rows, columns } = quantization;
  return [
    { name: weightName, dtype: targetDtype, shape: source.shape, byteLength: rows * columns, origin: { kind: 'codes', source } },
    ...scaleNames.map((name): PlacedTensor => ({ name, dtype: 'F32', shape: [], byteLength: 4, origin: { kind: 'scale', source } })),
    ...format.layerLiterals(layerOfWeight(weightName) ?? '').map(literal),
  ];
}

function namedLike({ name, dtype, shape, exactShape }: TensorInfo): Pick<LayoutTensor, 'name' | 'dtype' | 'shape' | 'exactShape'> {
  return exactShape === undefined ? { name, dtype, shape } : { name, dtype, shape, exactShape };
}

function literal({ name, dtype, shape, bytes }: LiteralTensor): PlacedTensor {
  return { name, dtype, shape, byteLength: bytes.length, origin: { kind: 'literal', bytes } };
}

/** Names that come from the source are unique already, and those made for a layer differ by the layer. */
function checkNames(outputs: readonly PlacedTensor[], header: Header): void {
  const clash = outputs.find(({ name, origin }) => (origin.kind === 'scale' || origin.kind === 'literal') && header.byName.has(name));
  if (clash === undefined) return;
  throw new EngineError(
    'InvalidRecipe',
    `The source already has a tensor "${clash.name}", which this layout would write. Choose another layout, or rename the tensor.`,
    { tensor: clash.name },
  );
}
