/** What the fields for statistics offer, and the line of help below each. Pure. */
import type { Options } from '../protocol/panelApi';
import { helpOf, type Offer } from './offer';

export const STATISTICS_OFFERS: readonly Offer<Options['statistics']>[] = [
  { value: 'auto', label: 'Automatic', help: 'The file’s inputs; else propagated, on the CPU; else gram.' },
  { value: 'gram', label: 'Gram', help: 'The weights alone. Fastest.' },
  { value: 'propagated', label: 'Propagated', help: 'Samples go through the model, where its shape is known.' },
  { value: 'calibrated', label: 'Calibrated', help: 'Real inputs, for every layer that the calibration file has.' },
];

export const SIDES_OFFERS: readonly Offer<Options['sides']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Both at full rank on the CPU, else inputs alone.' },
  { value: 'input', label: 'Inputs', help: 'Which inputs of a layer matter. Faster.' },
  { value: 'both', label: 'Inputs and outputs', help: 'Also which outputs matter: better, and several times slower.' },
];

export const BIAS_OFFERS: readonly Offer<Options['biasCorrection']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Biases take over what rounding does to mean outputs.' },
  { value: 'off', label: 'Off', help: 'Biases stay as they are.' },
];

export function statisticsHelp(options: Options): string {
  if (options.rounding !== 'learned') return unsteered(options);
  if (options.statistics === 'calibrated' && options.calibration === '') return 'Choose a calibration file below.';
  return helpOf(STATISTICS_OFFERS, options.statistics);
}

export function sidesHelp(options: Options): string {
  return options.rounding === 'learned' ? helpOf(SIDES_OFFERS, options.sides) : unsteered(options);
}

export function biasHelp(options: Options): string {
  // What is not steered by statistics knows of no mean input.
  return options.rounding === 'learned' ? helpOf(BIAS_OFFERS, options.biasCorrection) : unsteered(options);
}

export function samplesHelp(options: Options): string {
  if (options.rounding !== 'learned') return unsteered(options);
  return options.statistics === 'gram' ? 'Gram needs none.' : 'How many are sent through the model, where any are.';
}

export function calibrationHelp(options: Options): string {
  if (options.rounding !== 'learned') return unsteered(options);
  if (options.calibration === '') return 'Real inputs of the layers. “FP8: Create Calibration Script” makes what records them.';
  return options.statistics === 'auto' || options.statistics === 'calibrated'
    ? options.calibration
    : 'Its inputs are not asked for by Statistics.';
}

function unsteered({ rounding }: Options): string {
  return `${rounding === 'nearest' ? 'Nearest' : 'TPEC'} rounding goes by no statistics.`;
}
