/**
 * planMigration: a quantized model → the plan that stores the same codes and scales as another layout has them. Pure.
 *
 * No byte of a weight changes. What the other layout has no place for, or has in another form, is refused with the reason.
 */
import { formatQuantity } from '../../../base/format';
import { EngineError } from '../../errors';
import type { Header, TensorInfo } from '../../safetensors/header';
import { layOut, type LayoutTensor } from '../../safetensors/layout';
import { granularityText } from '../encoding';
import { FORMATS } from '../formats/formats';
import { matrixOf } from '../matrix';
import { paddedFrom, storedSize } from '../matrixStorage';
import type { OutputFormat, StoredLayer } from '../outputFormat';
import type { OutputOrigin, Plan, PlannedTensor } from '../plan';
import { byteLengthOf } from '../plannedBytes';
import { defaultRecipe, type Layout, type Recipe } from '../recipe';
import { layerOfWeight } from '../tensorNames';
import { ENCODINGS_KEY, encodingsText, type DeclaredLayer } from './declaredEncodings';
import { dequantizedHeader, MIGRATED_KEY } from './dequantizedHeader';
import { paddingWarnings } from './paddedSize';
import { requireReadable, storageText } from './planDequantized';
import type { StoredSource } from './sourceCodes';
import type { StoredWeight } from './storedWeight';
import { weightsFor } from './weightsFor';

/** The layouts' own advice is for conversions, which choose the scales. */
const HOW_TO_CHANGE_SCALES =
  'Migrating leaves every code and scale as it is: for others convert the source with --requantize, or dequantize it first.';

type PlacedTensor = LayoutTensor & { readonly origin: OutputOrigin };

/** `scales`: those of each weight as the layout has them, where they are not the very bytes of the source. Throws EngineError. */
export function planMigration(
  header: Header,
  stored: StoredSource,
  layout: Layout,
  scales: ReadonlyMap<string, Uint8Array>,
  toolVersion: string,
): Plan {
  requireReadable(stored);
  if (stored.byName.size === 0) throw new EngineError('NothingToQuantize', 'Nothing to migrate: no tensor is stored as codes with scales.');
  const weights = weightsFor(stored, layout);
  const byName = new Map(weights.map((weight) => [weight.name, weight]));
  if (weights.every((weight) => weight.layout === layout))
    throw new EngineError('InvalidRecipe', `The source is in the layout ${layout} already.`);
  const format = FORMATS[layout];
  const plain = dequantizedHeader(header, stored, 'BF16');
  const recipe = defaultRecipe({ layout, target: weights[0]?.encoding.target ?? 'float8_e4m3fn' });
  const layers = weights.map((weight) => ({ layer: layerNamed(weight, layout), encoding: weight.encoding }));
  const refusal = format.refusal(layers, recipe);
  if (refusal !== undefined) throw new EngineError('InvalidRecipe', `${refusal} ${HOW_TO_CHANGE_SCALES}`);
  const tensors: PlannedTensor[] = [];
  const outputs: PlacedTensor[] = [];
  const declared: DeclaredLayer[] = [];
  for (const source of plain.tensors) {
    const weight = byName.get(source.name);
    if (weight === undefined) {
      tensors.push({ source, action: 'keep', rule: 'migrated', reason: 'As it is: it is not quantized.' });
      outputs.push({ ...source, byteLength: source.end - source.begin, origin: { kind: 'copy', source } });
      continue;
    }
    const { rows, columns } = weight;
    const target = storedAs(weight, format, layout, recipe);
    // Rows of padding stand behind the others.
    const codes = { ...weight.codes, name: weight.name, end: weight.codes.begin + byteLengthOf(target.weight) };
    const { nibbles } = target.storage;
    declared.push({ layer: layerNamed(weight, layout), encoding: weight.encoding, ...paddedFrom(target.storage, weight), nibbles });
    const quantization = { sourceDtype: 'BF16', targetDtype: codes.dtype, encoding: weight.encoding, rounding: 'nearest' } as const;
    const about = { ...quantization, rows, columns, weightName: weight.name, stored: target };
    tensors.push({
      source: codes,
      action: 'keep',
      rule: 'migrated',
      reason: `Migrated: ${storageText(weight)} → ${layout}.`,
      quantization: about,
    });
    outputs.push({ ...target.weight, byteLength: codes.end - codes.begin, origin: { kind: 'copy', source: codes } });
    addScales(weight, target, scales.get(weight.name), tensors, outputs);
    outputs.push(
      ...target.literals.map(({ bytes, ...literal }) => ({
        ...literal,
        byteLength: bytes.length,
        origin: { kind: 'literal', bytes } as const,
      })),
    );
  }
  const whole = format.wholeFile(layers, plain, recipe);
  outputs.push(
    ...whole.literals.map(({ bytes, ...literal }) => ({
      ...literal,
      byteLength: bytes.length,
      origin: { kind: 'literal', bytes } as const,
    })),
  );
  const told = new Set(tensors.map(({ source }) => source.name));
  for (const source of header.tensors) {
    if (stored.companions.has(source.name) && !told.has(source.name))
      tensors.push({ source, action: 'remove', rule: 'migrated', reason: `Migrated: the layout ${layout} has no place for it.` });
  }
  const own = [
    [MIGRATED_KEY, `${layout} (${toolVersion})`],
    [ENCODINGS_KEY, encodingsText(declared)],
  ] as const;
  const metadata = new Map([...plain.metadata, ...whole.metadata, ...own]);
  return {
    recipe,
    tensors,
    output: layOut(outputs, metadata),
    warnings: [...stored.warnings, ...paddingWarnings(weights), ...inputScaleWarnings(header, layout)],
  };
}

/** Whether the layout wants the scales in other bytes than the source has. */
export function wantsOtherScales(weight: StoredWeight, layout: Layout): boolean {
  const { storage } = storedAs(weight, FORMATS[layout], layout, defaultRecipe({ layout }));
  return weight.scales === undefined || storage.scaleOrder !== weight.storage.scaleOrder || storage.scaleForm !== weight.storage.scaleForm;
}

function addScales(
  { name, scales, tensorScale }: StoredWeight,
  target: StoredLayer,
  bytes: Uint8Array | undefined,
  tensors: PlannedTensor[],
  outputs: PlacedTensor[],
): void {
  const copy = (source: TensorInfo, to: StoredLayer['weight']): void => {
    if (byteLengthOf(to) !== source.end - source.begin)
      throw new EngineError('InvalidRecipe', `"${source.name}" has another size than the layout wants of "${to.name}".`, {
        tensor: source.name,
      });
    tensors.push({ source, action: 'keep', rule: 'migrated', reason: `Scales: those of ${name}.` });
    outputs.push({ ...to, byteLength: source.end - source.begin, origin: { kind: 'copy', source } });
  };
  const [place] = target.scales;
  if (place !== undefined && bytes !== undefined) outputs.push({ ...place, byteLength: bytes.length, origin: { kind: 'literal', bytes } });
  else if (place !== undefined && scales !== undefined) copy(scales, place);
  const [tensorPlace] = target.tensorScales;
  if (tensorPlace !== undefined && tensorScale !== undefined) copy(tensorScale, tensorPlace);
}

/** Throws EngineError InvalidRecipe where the layout cannot hold the weight as it is. */
function storedAs(weight: StoredWeight, format: OutputFormat, layout: Layout, recipe: Recipe): StoredLayer {
  const { name, encoding, shape, rows, columns, storage } = weight;
  const fail = (why: string): never => {
    throw new EngineError('InvalidRecipe', `"${name}" cannot be migrated to ${layout}: ${why}`, { tensor: name });
  };
  const layer = layerNamed(weight, layout);
  if (format.holds[encoding.target]?.includes(encoding.granularity.kind) !== true)
    return fail(`it is ${encoding.target} with ${granularityText(encoding.granularity)}. ${format.limits} ${HOW_TO_CHANGE_SCALES}`);
  const matrix = { ...matrixOf({ name, shape }), rows, columns };
  const obstacle = format.obstacle(matrix, encoding);
  if (obstacle !== undefined) return fail(`${obstacle} ${HOW_TO_CHANGE_SCALES}`);
  const target = format.store(layer, matrix, encoding, recipe);
  const { nibbles, tensorScaleForm } = target.storage;
  const [tall, wide] = storedSize(storage, weight);
  const [wantedTall, wantedWide] = storedSize(target.storage, weight);
  if (wantedTall > tall || wantedWide > wide) return fail('the layout pads its codes, which would change them.');
  if (wantedWide < wide)
    return fail(
      `its codes are padded from ${formatQuantity(columns, 'column')} to ${wide}, and the layout has no padding, so every row would change. ${HOW_TO_CHANGE_SCALES}`,
    );
  if (nibbles !== storage.nibbles) return fail('the layout has the two codes of a byte in the other order, so every byte would change.');
  if (tensorScaleForm !== storage.tensorScaleForm)
    return fail('the layout divides by what this one multiplies with, which is not always exact.');
  return target;
}

function layerNamed({ name }: StoredWeight, layout: Layout): string {
  const layer = layerOfWeight(name);
  if (layer !== undefined) return layer;
  throw new EngineError('InvalidRecipe', `"${name}" cannot be migrated to ${layout}: scales have a place only beside ".weight".`, {
    tensor: name,
  });
}

function inputScaleWarnings({ tensors }: Header, layout: Layout): readonly string[] {
  const scales = tensors.filter(({ name }) => /\.(input_scale|scale_input|input_global_scale)$/.test(name));
  if (scales.length === 0) return [];
  return [
    `${formatQuantity(scales.length, 'scale')} of inputs are left out: in the layout ${layout} inputs are scaled while the model runs.`,
  ];
}
