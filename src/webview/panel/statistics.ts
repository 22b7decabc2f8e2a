/** What the fields for statistics offer, and the line of help below each. Pure. */
import type { Options } from '../protocol/panelApi';
import { formatInteger } from '../../base/format';
import { helpOf, labelOf, type Offer } from './offer';

export const STATISTICS_OFFERS: readonly Offer<Options['statistics']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Real inputs; else synthetic samples; else weights.' },
  { value: 'gram', label: 'Weights alone', help: 'Their Gram matrix (gram). Needs nothing, and is fastest.' },
  { value: 'propagated', label: 'Synthetic samples', help: 'They go through the model, where its shape is known (propagated).' },
  { value: 'calibrated', label: 'Real inputs from a file', help: 'For every layer that the calibration file has (calibrated).' },
];

const DEFAULT_SAMPLES = 3072;

export const SIDES_OFFERS: readonly Offer<Options['sides']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Both at full rank on the CPU, else inputs alone.' },
  { value: 'input', label: 'Inputs', help: 'Which inputs of a layer matter. Faster.' },
  { value: 'both', label: 'Inputs and outputs', help: 'Also which outputs matter: better, and several times slower.' },
];

export const BIAS_OFFERS: readonly Offer<Options['biasCorrection']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Biases take over what rounding does to mean outputs.' },
  { value: 'off', label: 'Off', help: 'Biases stay as they are.' },
];

/** What is chosen, for the heading of the folded section: where the statistics come from, and all else that differs from the default. */
export function statisticsWords(options: Options): string {
  if (!isSteered(options)) return 'without effect';
  const { statistics, sides, calibSamples, calibration, biasCorrection } = options;
  const parts = [
    labelOf(STATISTICS_OFFERS, statistics),
    sides === 'auto' ? '' : labelOf(SIDES_OFFERS, sides).toLowerCase(),
    calibSamples === DEFAULT_SAMPLES || statistics === 'gram' ? '' : `${formatInteger(calibSamples)} samples`,
    calibration.split(/[\\/]/).at(-1) ?? '',
    biasCorrection === 'off' ? 'no bias correction' : '',
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

export function statisticsHelp(options: Options): string {
  if (!isSteered(options)) return unsteered(options);
  if (options.statistics === 'calibrated' && options.calibration === '') return 'Choose a calibration file below.';
  return helpOf(STATISTICS_OFFERS, options.statistics);
}

export function sidesHelp(options: Options): string {
  return isSteered(options) ? helpOf(SIDES_OFFERS, options.sides) : '';
}

export function biasHelp(options: Options): string {
  // What is not steered by statistics knows of no mean input.
  return isSteered(options) ? helpOf(BIAS_OFFERS, options.biasCorrection) : '';
}

export function samplesHelp(options: Options): string {
  if (!isSteered(options)) return '';
  return options.statistics === 'gram' ? 'The weights alone need none.' : 'How many are sent through the model, where any are.';
}

export function calibrationHelp(options: Options): string {
  if (!isSteered(options)) return '';
  if (options.calibration === '') return 'Real inputs of the layers. “FP8: Create Calibration Script” makes what records them.';
  return options.statistics === 'auto' || options.statistics === 'calibrated'
    ? options.calibration
    : 'Its inputs are not asked for by Statistics.';
}

/** Only learned rounding goes by statistics. */
export function isSteered({ rounding }: Options): boolean {
  return rounding === 'learned';
}

export function iterates({ rounding }: Options): boolean {
  return rounding !== 'nearest';
}

/** Below the first field alone; the others are switched off for the same reason. */
function unsteered({ rounding }: Options): string {
  return `${rounding === 'nearest' ? 'Nearest' : 'TPEC'} rounding goes by no statistics.`;
}
