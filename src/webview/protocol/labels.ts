/** What people read instead of the names that recipes have, and what of a choice differs from the default. Pure. */
import { formatInteger } from '../../base/format';
import type { Options } from './panelApi';

export const TARGET_LABELS: Readonly<Record<Options['target'], string>> = {
  float8_e4m3fn: 'FP8 E4M3',
  float8_e5m2: 'FP8 E5M2',
  int8: 'INT8',
  mxfp8: 'MXFP8',
  nvfp4: 'NVFP4',
};

export const LAYOUT_LABELS: Readonly<Record<Options['layout'], string>> = {
  comfyui: 'ComfyUI',
  'comfyui-legacy': 'ComfyUI, legacy',
  'compressed-tensors': 'compressed-tensors',
  huggingface: 'Hugging Face',
  plain: 'Plain',
};

export const ROUNDING_LABELS: Readonly<Record<Options['rounding'], string>> = { learned: 'Learned', tpec: 'TPEC', nearest: 'Nearest' };

export const STATISTICS_LABELS: Readonly<Record<Options['statistics'], string>> = {
  auto: 'Automatic',
  gram: 'Weights alone',
  propagated: 'Synthetic samples',
  calibrated: 'Real inputs from a file',
};

export const SIDES_LABELS: Readonly<Record<Options['sides'], string>> = {
  auto: 'Automatic',
  input: 'Inputs',
  both: 'Inputs and outputs',
};

const DEFAULT_ITERATIONS = 500;
const DEFAULT_SAMPLES = 3072;

/** Of the rounding, all that differs from its default. */
export function roundingDifferences({ rounding, topK, numIter }: Pick<Options, 'rounding' | 'topK' | 'numIter'>): readonly string[] {
  if (rounding === 'nearest') return [];
  const isUsual = topK === (rounding === 'tpec' ? 1 : 'full');
  return [
    ...(isUsual ? [] : [topK === 'full' ? 'all components' : topK === 1 ? 'first component' : `first ${formatInteger(topK)} components`]),
    ...(numIter === DEFAULT_ITERATIONS ? [] : [`${formatInteger(numIter)} iterations`]),
  ];
}

type Steering = Pick<Options, 'rounding' | 'statistics' | 'sides' | 'calibSamples' | 'calibration' | 'biasCorrection'>;

/** Of what steers it, all that differs from the default but where the statistics come from. */
export function steeringDifferences({
  rounding,
  statistics,
  sides,
  calibSamples,
  calibration,
  biasCorrection,
}: Steering): readonly string[] {
  if (rounding !== 'learned') return [];
  return [
    sides === 'auto' ? '' : SIDES_LABELS[sides].toLowerCase(),
    calibSamples === DEFAULT_SAMPLES || statistics === 'gram' ? '' : `${formatInteger(calibSamples)} samples`,
    calibration.split(/[\\/]/).at(-1) ?? '',
    biasCorrection === 'off' ? 'no bias correction' : '',
  ].filter((part) => part !== '');
}
