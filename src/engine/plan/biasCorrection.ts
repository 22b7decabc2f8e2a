/**
 * biasCorrection: which biases take over what rounding does to their layer's mean output: b + (W − Q) μ, where μ, the mean input, is known. Pure.
 *
 * No bias is added to a layer that has none: loaders build their layers by the model's configuration and refuse tensors that it does not name.
 */
import { isSourceDtype } from '../dtype';
import type { PlannedTensor } from './plan';
import type { Recipe } from './recipe';

const BIAS = '.bias';

export function withCorrections(tensors: readonly PlannedTensor[], { biasCorrection }: Recipe): readonly PlannedTensor[] {
  if (biasCorrection === 'off') return tensors;
  const known = new Map(
    tensors.flatMap(({ source, quantization }) => {
      const mean = quantization?.statistics?.mean ?? 'unknown';
      return quantization === undefined || mean === 'unknown' ? [] : [[source.name, { mean, rows: quantization.rows }] as const];
    }),
  );
  if (known.size === 0) return tensors;
  return tensors.map((tensor) => {
    const { source, action, rule } = tensor;
    if (action !== 'keep' || rule !== 'bias' || !source.name.endsWith(BIAS) || !isSourceDtype(source.dtype)) return tensor;
    const weight = `${source.name.slice(0, -BIAS.length)}.weight`;
    const layer = known.get(weight);
    if (layer === undefined || source.shape.length !== 1 || source.shape[0] !== layer.rows) return tensor;
    const reason = `Bias: kept, and corrected by the ${layer.mean} mean input of its layer.`;
    return { ...tensor, reason, correction: { weight, mean: layer.mean } };
  });
}
