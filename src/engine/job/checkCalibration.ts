/** checkCalibration: reads what a plan takes from a calibration file, before anything is written: what says nothing is left out, with a note. */
import { formatQuantity } from '../../base/format';
import { isValueDtype } from '../dtype';
import { EngineError } from '../errors';
import type { CalibratedSide, Calibration, LayerCalibration } from '../plan/calibration';
import type { Plan } from '../plan/plan';
import type { TensorInfo } from '../safetensors/header';
import { checkMeans, type RecordedMean } from './checkMeans';
import type { CheckedResult, CheckStatisticsTask, Quantizer } from './quantizer';

import { leastDampingOf } from './statisticsTerms';

export interface CheckedCalibration {
  /** Without what says nothing, and with the damping that the rest needs. */
  readonly calibration: Calibration;
  readonly warnings: readonly string[];
}

interface Asked {
  readonly weight: string;
  readonly side: 'inputs' | 'outputs' | 'mean';
  readonly tensor: TensorInfo;
  readonly form: CheckStatisticsTask['form'];
  readonly size: number;
  readonly damping: number;
}

/** Throws EngineError InvalidCalibration where a tensor cannot be what its name says. */
export async function checkCalibration(
  plan: Plan,
  calibration: Calibration,
  { quantizer, threads, signal }: { readonly quantizer: Quantizer; readonly threads: number; readonly signal: AbortSignal },
): Promise<CheckedCalibration> {
  const asked = askedOf(plan, calibration);
  if (asked.length === 0) return { calibration, warnings: [] };
  const byWeight = new Map(calibration.byWeight);
  const warnings: string[] = [];
  const results = new Map<number, CheckedResult>();
  const job = { files: [calibration.path], tasks: asked.map(taskOf), device: 'cpu', threads };
  try {
    for await (const event of quantizer.run(job, signal)) if (event.type === 'checked') results.set(event.id, event);
  } catch (error) {
    throw EngineError.wrap(error, { path: calibration.path });
  }
  for (const [id, item] of asked.entries()) {
    const result = results.get(id);
    const layer = byWeight.get(item.weight);
    if (result === undefined || layer === undefined) throw new EngineError('Internal', `"${item.tensor.name}" was not checked`);
    const checked = judge(calibration.path, item, result, layer);
    byWeight.set(item.weight, checked.layer);
    if (checked.warning !== undefined) warnings.push(checked.warning);
  }
  warnings.push(...(await checkMeans(calibration.path, recordedMeans(asked, calibration), signal)));
  return { calibration: { ...calibration, byWeight }, warnings };
}

/** With the inputs that stand beside them in the file, even those that are all zero. */
function recordedMeans(asked: readonly Asked[], { byWeight }: Calibration): readonly RecordedMean[] {
  return asked.flatMap(({ side, weight, tensor }): readonly RecordedMean[] => {
    const inputs = byWeight.get(weight)?.inputs;
    return side !== 'mean' || inputs === undefined ? [] : [{ weight, mean: tensor, inputs }];
  });
}

function askedOf(plan: Plan, { byWeight }: Calibration): readonly Asked[] {
  return plan.tensors.flatMap(({ quantization }): readonly Asked[] => {
    const choice = quantization?.statistics;
    const layer = byWeight.get(quantization?.weightName ?? '');
    if (quantization === undefined || choice === undefined || layer === undefined) return [];
    const { weightName: weight, rows, columns } = quantization;
    const sideOf = (side: 'inputs' | 'outputs', found: CalibratedSide | undefined, size: number): readonly Asked[] => {
      if (choice[side] !== 'calibrated' || found === undefined) return [];
      return [{ weight, side, tensor: found.values, form: found.kind, size, damping: leastDampingOf(side, size, found.samples) }];
    };
    const mean = choice.mean === 'calibrated' ? layer.inputMean : undefined;
    return [
      ...sideOf('inputs', layer.inputs, columns),
      ...sideOf('outputs', layer.outputs, rows),
      ...(mean === undefined ? [] : [{ weight, side: 'mean', tensor: mean, form: 'mean', size: columns, damping: 1 } as const]),
    ];
  });
}

function taskOf({ tensor: { name, dtype, begin, end }, form, size, damping }: Asked, id: number): CheckStatisticsTask {
  if (!isValueDtype(dtype)) throw new EngineError('Internal', `statistics of ${dtype} were not refused`, { tensor: name });
  const values = { range: { file: 0, offset: begin, length: end - begin }, dtype, scale: 1 };
  return { kind: 'checkStatistics', id, name, form, values, size, damping };
}

function judge(
  path: string,
  { weight, side, tensor: { name }, form, damping }: Asked,
  result: CheckedResult,
  layer: LayerCalibration,
): { readonly layer: LayerCalibration; readonly warning?: string } {
  const refuse = (problem: string): never => {
    const remedy = `Collect this layer anew, or remove the tensor from the file`;
    throw new EngineError('InvalidCalibration', `${path}: the calibration tensor "${name}" ${problem}. ${remedy}.`, { path, tensor: name });
  };
  switch (result.verdict) {
    case 'nonFinite':
      return refuse(
        `has ${formatQuantity(result.nonFiniteCount, 'value')} that ${result.nonFiniteCount === 1 ? 'is' : 'are'} NaN or infinite`,
      );
    case 'noMoment':
      return form === 'diagonal'
        ? refuse('has negative values; it should hold means of squares')
        : refuse('is no second moment: one is symmetric, and no entry is larger than those of the diagonal in its row and column allow');
    case 'allZero': {
      if (side === 'mean') return { layer };
      const { inputs, outputs, ...rest } = layer;
      const others = {
        ...(inputs === undefined || side === 'inputs' ? {} : { inputs }),
        ...(outputs === undefined || side === 'outputs' ? {} : { outputs }),
      };
      return {
        layer: { ...rest, ...others, silent: [...(layer.silent ?? []), side] },
        warning: `${path}: the calibration tensor "${name}" is all zero and says nothing of the ${side} of "${weight}", which is rounded by what else is known.`,
      };
    }
    case 'usable': {
      const known = side === 'mean' ? undefined : layer[side];
      if (known === undefined || result.damping <= damping) return { layer };
      return {
        layer: { ...layer, [side]: { ...known, leastDamping: result.damping } },
        warning: `${path}: the calibration tensor "${name}" is not positive definite, as where its values were rounded; its damping was raised from ${damping.toPrecision(2)} to ${result.damping.toPrecision(2)}.`,
      };
    }
  }
}
