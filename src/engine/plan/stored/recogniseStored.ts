/**
 * recogniseStored: which tensors of a header are codes, where their scales are, and in which layout. Pure.
 *
 * Each layout gives itself away by the names beside the weight. What is not understood for certain is left alone and said so: numbers that are
 * wrong by a factor look like a model.
 */
import { formatShape } from '../../../base/format';
import type { Dtype } from '../../dtype';
import type { Header, TensorInfo } from '../../safetensors/header';
import { TARGET_FACTS, type Granularity, type Target } from '../encoding';
import { expertsOf, matrixOf } from '../matrix';
import { roundedUp } from '../matrixStorage';
import type { Layout } from '../recipe';
import { isExpertParameter, isScaledFp8Marker, layerOfCompanion, layerOfWeight } from '../tensorNames';
import { paddedSize } from './paddedSize';
import { scaleBlocks } from './scaleBlocks';
import type { StorageFacts, StoredWeight, StoredWeights } from './storedWeight';

const PACKED = '.weight_packed';
const SCALE_NAMES = ['weight_scale', 'weight_scale_inv', 'scale_weight'] as const;
const SCALE_FORMS: Readonly<Partial<Record<Dtype, StoredWeight['storage']['scaleForm']>>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};
/** Of codes that take a byte each. */
const TARGETS: Readonly<Partial<Record<Dtype, Target>>> = { F8_E4M3: 'float8_e4m3fn', F8_E5M2: 'float8_e5m2', I8: 'int8' };
const GROUPS = { mxfp8: 32, nvfp4: 16 } as const;

export function recogniseStored(header: Header, facts: StorageFacts): StoredWeights {
  const byName = new Map<string, StoredWeight>();
  const unreadable = new Map<string, string>();
  const companions = new Set(header.tensors.filter(({ name }) => isScaledFp8Marker(name)).map(({ name }) => name));
  for (const tensor of header.tensors) {
    const layer = layerOf(tensor, header);
    if (layer === undefined) continue;
    const found = storedWeight(tensor, layer, header, facts);
    if (typeof found === 'string') unreadable.set(tensor.name, found);
    else byName.set(found.name, found);
  }
  const layers = new Set([...byName.keys()].map((name) => layerOfWeight(name) ?? name));
  for (const { name } of header.tensors) {
    const layer = name.endsWith(PACKED) ? undefined : layerOfCompanion(name);
    if (layer !== undefined && layers.has(layer)) companions.add(name);
  }
  return { byName, companions, unreadable };
}

/** Whether there is anything that could be read as numbers. */
export function hasCodes(header: Header): boolean {
  return header.tensors.some((tensor) => layerOf(tensor, header) !== undefined);
}

/** Of a tensor of codes; of one that is not a layer's weight, its own name. */
function layerOf(tensor: TensorInfo, header: Header): string | undefined {
  const { name, dtype } = tensor;
  if (isScaledFp8Marker(name) || tensor.end === tensor.begin) return undefined;
  if (name.endsWith(PACKED)) return name.slice(0, -PACKED.length);
  if (layerOfCompanion(name) !== undefined) return undefined;
  const layer = layerOfWeight(name);
  if (dtype === 'F8_E4M3' || dtype === 'F8_E5M2') return layer ?? name;
  if (dtype !== 'I8' && dtype !== 'U8') return undefined;
  return layer !== undefined && scaleOf(layer, header) !== undefined ? layer : undefined;
}

function scaleOf(layer: string, header: Header): TensorInfo | undefined {
  if (isExpertParameter(layer)) return header.byName.get(`${layer}_scale`);
  const name = SCALE_NAMES.find((suffix) => header.byName.has(`${layer}.${suffix}`));
  return name === undefined ? undefined : header.byName.get(`${layer}.${name}`);
}

/** A sentence where it is not understood. */
function storedWeight(codes: TensorInfo, layer: string, header: Header, facts: StorageFacts): StoredWeight | string {
  const scales = scaleOf(layer, header);
  const comfy = facts.comfyFormats.get(layer);
  const name = codes.name.endsWith(PACKED) ? `${layer}.weight` : codes.name;
  const layout = comfy === undefined ? layoutOf(codes, scales, facts) : 'comfyui';
  if (comfy?.isRotated === 'rotated') return `Its weights are rotated (${comfy.format}, convrot), and only its loader turns them back.`;
  const grouped = { codes, scales, name, layer, layout, header, facts };
  if (codes.dtype === 'U8' || comfy?.format === 'nvfp4') return nvfp4(grouped);
  if (scales?.dtype === 'U8' || scales?.dtype === 'F8_E8M0' || comfy?.format === 'mxfp8') return mxfp8(grouped);
  const target = TARGETS[codes.dtype];
  if (target === undefined) return `Codes of ${codes.dtype} are not known here.`;
  const { rows, columns } = matrixOf(codes);
  const { grid } = TARGET_FACTS[target];
  const common = { name, layout, shape: codes.shape, rows, columns, codes };
  if (scales === undefined)
    return { ...common, encoding: { target, granularity: { kind: 'tensor' } }, storage: { grid, scaleForm: 'f32', scaleOrder: 'plain' } };
  const scaleForm = SCALE_FORMS[scales.dtype];
  if (scaleForm === undefined) return `Its scales ${scales.name} are ${scales.dtype}, which is not known for codes of ${codes.dtype}.`;
  const experts = expertsOf(codes);
  if (experts !== undefined) {
    const scaleCount = scales.shape.reduce((product, size) => product * size, 1);
    if (scaleCount === experts.count) {
      const block = { rows: experts.rows, columns };
      return {
        ...common,
        encoding: { target, granularity: { kind: 'tensor' } },
        storage: { grid, scaleForm, scaleOrder: 'plain', block },
        scales,
      };
    }
    if (scaleCount === rows) {
      const storage = { grid, scaleForm, scaleOrder: 'plain', block: { rows: 1, columns } } as const;
      return { ...common, encoding: { target, granularity: { kind: 'row' } }, storage, scales };
    }
  }
  const granularity = scaleBlocks(
    [rows, columns],
    scales.shape,
    facts.declared.get(layer)?.blockSize ?? facts.blockSize ?? (layout === 'huggingface' ? [128, 128] : undefined),
  );
  if (granularity === undefined)
    return `Its scales ${scales.name} are ${formatShape(scales.shape)}, which does not say for certain how ${formatShape(codes.shape)} is divided.`;
  const storage = { grid, scaleForm, scaleOrder: 'plain', ...blockOf(granularity, columns) } as const;
  return { ...common, encoding: { target, granularity }, storage, scales };
}

function blockOf(granularity: Granularity, columns: number): Pick<StoredWeight['storage'], 'block'> {
  switch (granularity.kind) {
    case 'tensor':
      return {};
    case 'row':
      return { block: { rows: 1, columns } };
    case 'block':
      return { block: { rows: granularity.rows, columns: granularity.columns } };
  }
}

/** A layer whose codes share scales in groups along a row. */
interface GroupedLayer {
  readonly codes: TensorInfo;
  readonly scales: TensorInfo | undefined;
  readonly name: string;
  readonly layer: string;
  readonly layout: Layout;
  readonly header: Header;
  readonly facts: StorageFacts;
}

function mxfp8(grouped: GroupedLayer): StoredWeight | string {
  const { codes, scales, name, layout } = grouped;
  const { rows, columns } = matrixOf(codes);
  const group = GROUPS.mxfp8;
  if (codes.dtype !== 'F8_E4M3' || scales === undefined) return 'It is said to be mxfp8, and its codes or scales are not.';
  const order = scaleOrder([rows, Math.ceil(columns / group)], scales.shape, layout);
  if (order === undefined) return `Its scales ${scales.name} are ${formatShape(scales.shape)}, which is not how mxfp8 has them.`;
  return {
    ...{ name, layout, shape: codes.shape, codes, scales },
    encoding: { target: 'mxfp8', granularity: { kind: 'block', rows: 1, columns: group } },
    ...sized('mxfp8', [rows, columns], grouped, {
      grid: 'e4m3',
      block: { rows: 1, columns: group },
      scaleForm: 'e8m0',
      scaleOrder: order,
    }),
  };
}

function nvfp4(grouped: GroupedLayer): StoredWeight | string {
  const { codes, scales, name, layer, layout, header, facts } = grouped;
  const [rows = 0, half = 0, ...more] = codes.shape;
  const columns = 2 * half;
  const group = GROUPS.nvfp4;
  const isPacked = codes.name.endsWith(PACKED);
  const tensorScale = header.byName.get(`${layer}.${isPacked ? 'weight_global_scale' : 'weight_scale_2'}`);
  if (codes.dtype !== 'U8' || more.length > 0 || scales?.dtype !== 'F8_E4M3' || tensorScale?.dtype !== 'F32')
    return 'Its two codes in a byte lack the scales of nvfp4.';
  const nibbles = isPacked ? 'evenLow' : layout === 'comfyui' || facts.ownFile === 'own' ? 'evenHigh' : facts.declared.get(layer)?.nibbles;
  if (nibbles === undefined) return 'Two codes share a byte, and the file does not say which comes first.';
  const order = scaleOrder([rows, Math.ceil(columns / group)], scales.shape, layout);
  if (order === undefined) return `Its scales ${scales.name} are ${formatShape(scales.shape)}, which is not how nvfp4 has them.`;
  return {
    ...{ name, layout, shape: [rows, columns], codes, scales, tensorScale },
    encoding: { target: 'nvfp4', granularity: { kind: 'block', rows: 1, columns: group } },
    ...sized('nvfp4', [rows, columns], grouped, {
      grid: 'e2m1',
      block: { rows: 1, columns: group },
      scaleForm: 'e4m3',
      scaleOrder: order,
      nibbles,
      tensorScaleForm: isPacked ? 'divisor' : 'factor',
    }),
  };
}

/** Codes whose scales are in tiles are padded as well; `size` is theirs. */
function sized(
  target: 'mxfp8' | 'nvfp4',
  size: readonly [rows: number, columns: number],
  { layer, header: { byName }, facts: { declared, ownFile } }: GroupedLayer,
  storage: StoredWeight['storage'],
): Pick<StoredWeight, 'rows' | 'columns' | 'storage' | 'padding'> & Partial<Pick<StoredWeight, 'shape'>> {
  const [storedRows, storedColumns] = size;
  if (storage.scaleOrder === 'plain') return { rows: storedRows, columns: storedColumns, storage };
  const bias = byName.get(`${layer}.bias`)?.shape;
  const biasLength = bias?.length === 1 ? bias[0] : undefined;
  const found = paddedSize(target, size, { declared: declared.get(layer)?.shape, biasLength, ownFile });
  if (found.rows === storedRows && found.columns === storedColumns) return { ...found, storage };
  return { ...found, shape: [found.rows, found.columns], storage: { ...storage, storedRows, storedColumns } };
}

function scaleOrder(
  [rows, columns]: readonly [number, number],
  shape: readonly number[],
  layout: Layout,
): StoredWeight['storage']['scaleOrder'] | undefined {
  const is = (height: number, width: number): boolean => shape.length === 2 && shape[0] === height && shape[1] === width;
  if (layout === 'comfyui') return is(roundedUp(rows, 128), roundedUp(columns, 4)) ? 'swizzled' : undefined;
  return is(rows, columns) ? 'plain' : undefined;
}

function layoutOf(codes: TensorInfo, scales: TensorInfo | undefined, { quantMethod }: StorageFacts): Layout {
  if (codes.name.endsWith(PACKED) || quantMethod === 'compressed-tensors') return 'compressed-tensors';
  if (scales?.name.endsWith('.scale_weight') === true) return 'comfyui-legacy';
  return scales?.name.endsWith('.weight_scale_inv') === true ? 'huggingface' : 'plain';
}
