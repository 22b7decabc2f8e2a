/** What the fields for statistics offer, and the line of help below each. Pure. */
import type { Options } from '../protocol/panelApi';
import { SIDES_LABELS, STATISTICS_LABELS, steeringDifferences } from '../protocol/labels';
import { helpOf, type Offer } from './offer';

export const STATISTICS_OFFERS: readonly Offer<Options['statistics']>[] = [
  { value: 'auto', label: STATISTICS_LABELS.auto, help: 'Real inputs; else synthetic samples; else weights.' },
  { value: 'gram', label: STATISTICS_LABELS.gram, help: 'Their Gram matrix (gram). Needs nothing, and is fastest.' },
  { value: 'propagated', label: STATISTICS_LABELS.propagated, help: 'They go through the model, where its shape is known (propagated).' },
  { value: 'calibrated', label: STATISTICS_LABELS.calibrated, help: 'For every layer that the calibration file has (calibrated).' },
];

export const SIDES_OFFERS: readonly Offer<Options['sides']>[] = [
  { value: 'auto', label: SIDES_LABELS.auto, help: 'Both at full rank on the CPU, else inputs alone.' },
  { value: 'input', label: SIDES_LABELS.input, help: 'Which inputs of a layer matter. Faster.' },
  { value: 'both', label: SIDES_LABELS.both, help: 'Also which outputs matter: better, and several times slower.' },
];

export const BIAS_OFFERS: readonly Offer<Options['biasCorrection']>[] = [
  { value: 'auto', label: 'Automatic', help: 'Biases take over what rounding does to mean outputs.' },
  { value: 'off', label: 'Off', help: 'Biases stay as they are.' },
];

/** What is chosen, for the heading of the folded section: where the statistics come from, and all else that differs from the default. */
export function statisticsWords(options: Options): string {
  if (!isSteered(options)) return 'without effect';
  return [STATISTICS_LABELS[options.statistics], ...steeringDifferences(options)].join(' · ');
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
  if (options.statistics === 'gram') return 'The weights alone need none.';
  return options.statistics !== 'propagated' && options.calibration !== ''
    ? 'Only for layers that the file lacks or says little of.'
    : 'How many are sent through the model, where any are.';
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
