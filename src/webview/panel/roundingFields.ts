/** The fields that say how codes are chosen, and by what. */
import { keepFocus } from '../keepFocus';
import type { Options, PanelView } from '../protocol/panelApi';
import { ROUNDING_LABELS, roundingDifferences } from '../protocol/labels';
import { button, textField, type DropdownChoice } from '../ui';
import { dropdownField, field, helpId, sliderField, type Field, type FieldEvents } from './field';
import { helpOf, type Offer } from './offer';
import {
  BIAS_OFFERS,
  biasHelp,
  calibrationHelp,
  isSteered,
  iterates,
  samplesHelp,
  SIDES_OFFERS,
  sidesHelp,
  STATISTICS_OFFERS,
  statisticsHelp,
  statisticsWords,
} from './statistics';

const ROUNDING_OFFERS: readonly Offer<Options['rounding']>[] = [
  { value: 'learned', label: ROUNDING_LABELS.learned, help: 'Codes are chosen together: the layer’s output changes least.' },
  { value: 'tpec', label: ROUNDING_LABELS.tpec, help: 'The original scripts’ own method, kept for comparison.' },
  { value: 'nearest', label: ROUNDING_LABELS.nearest, help: 'Each weight to its nearest value. Fastest.' },
];

/** Ranks that the dropdown offers beside the one that is chosen. */
const RANKS = [1, 8, 32, 128, 512];

export function roundingFields({ onOptions }: FieldEvents): readonly Field[] {
  return [
    dropdownField('Rounding', ROUNDING_OFFERS, (value) => onOptions({ rounding: value as Options['rounding'] }), {
      value: ({ options }) => options.rounding,
      help: ({ options }) => helpOf(ROUNDING_OFFERS, options.rounding),
    }),
    dropdownField('Components', [], (value) => onOptions({ topK: value === 'full' ? 'full' : Number(value) }), {
      value: ({ options }) => String(options.topK),
      choices: ({ options }) => rankChoices(options.topK),
      decides: iterates,
      help: ({ options }) =>
        options.rounding === 'nearest'
          ? 'Nearest rounding looks at none.'
          : 'How many steer the rounding (top_k): fewer are faster and coarser.',
    }),
    sliderField('Iterations', { least: 100, most: 2000, step: 100 }, (numIter) => onOptions({ numIter }), {
      value: ({ options }) => options.numIter,
      decides: iterates,
      help: ({ options, lastSweeps }) =>
        options.rounding === 'nearest'
          ? 'Nearest rounding does not iterate.'
          : `At most this many. ${lastSweeps ?? 'It stops by itself after a few.'}`,
    }),
  ];
}

export function roundingSummary({ options }: PanelView): string {
  return [ROUNDING_LABELS[options.rounding], ...roundingDifferences(options)].join(' · ');
}

export function statisticsFields(events: FieldEvents): readonly Field[] {
  const { onOptions } = events;
  return [
    dropdownField('Statistics', STATISTICS_OFFERS, (value) => onOptions({ statistics: value as Options['statistics'] }), {
      value: ({ options }) => options.statistics,
      decides: isSteered,
      help: ({ options }) => statisticsHelp(options),
    }),
    dropdownField('Sides', SIDES_OFFERS, (value) => onOptions({ sides: value as Options['sides'] }), {
      value: ({ options }) => options.sides,
      decides: isSteered,
      help: ({ options }) => sidesHelp(options),
    }),
    sliderField('Samples', { least: 512, most: 8192, step: 256 }, (calibSamples) => onOptions({ calibSamples }), {
      value: ({ options }) => options.calibSamples,
      decides: (options) => isSteered(options) && options.statistics !== 'gram',
      help: ({ options }) => samplesHelp(options),
    }),
    dropdownField('Bias correction', BIAS_OFFERS, (value) => onOptions({ biasCorrection: value as Options['biasCorrection'] }), {
      value: ({ options }) => options.biasCorrection,
      decides: isSteered,
      help: ({ options }) => biasHelp(options),
    }),
    calibrationField(events),
  ];
}

export function statisticsSummary({ options }: PanelView): string {
  return statisticsWords(options);
}

function calibrationField({ onOptions, onBrowse }: FieldEvents): Field {
  const label = 'Calibration file';
  const text = textField({
    label,
    describedBy: helpId(label),
    placeholder: 'None',
    onChoose: (calibration) => onOptions({ calibration }),
  });
  const browse = button({
    label: 'Browse…',
    name: `${label}: Browse…`,
    appearance: 'secondary',
    onPress: () => onBrowse('browseCalibration'),
  });
  const clear = button({
    label: 'Clear',
    name: `${label}: Clear`,
    appearance: 'secondary',
    onPress: () => onOptions({ calibration: '' }),
  });
  const root = document.createElement('div');
  root.className = 'path-row';
  root.append(text.root, browse, clear);
  return field<string>(
    label,
    {
      root,
      show(value) {
        text.show(value);
        keepFocus(
          root,
          () => {
            clear.toggleAttribute('data-idle', value === '');
            clear.toggleAttribute('disabled', value === '');
          },
          () => [browse],
        );
      },
    },
    { value: ({ options }) => options.calibration, help: ({ options }) => calibrationHelp(options), decides: isSteered },
    'wide',
  );
}

function rankChoices(topK: Options['topK']): readonly DropdownChoice[] {
  const ranks = topK === 'full' || RANKS.includes(topK) ? RANKS : [...RANKS, topK].sort((a, b) => a - b);
  return [{ value: 'full', label: 'All (full rank)' }, ...ranks.map((rank) => ({ value: String(rank), label: `First ${rank}` }))];
}
