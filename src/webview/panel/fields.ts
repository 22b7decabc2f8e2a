/** The panel's fields: each a label, a control, and one line of help. */
import { element, setText } from '../dom';
import type { Options, PanelCommand, PanelView } from '../protocol/panelApi';
import { button, dropdown, slider, textField, type Control, type DropdownChoice } from '../ui';
import {
  BIAS_OFFERS,
  biasHelp,
  calibrationHelp,
  samplesHelp,
  SIDES_OFFERS,
  sidesHelp,
  STATISTICS_OFFERS,
  statisticsHelp,
} from './statistics';

export interface FieldEvents {
  readonly onOptions: (patch: Partial<Options>) => void;
  readonly onBrowse: (command: Extract<PanelCommand, 'browseOutput' | 'browseCalibration'>) => void;
}

export interface Field {
  readonly root: HTMLElement;
  show(view: PanelView): void;
}

const ROUNDING_HELP: Readonly<Record<Options['rounding'], string>> = {
  learned: 'Codes are chosen together, so that the layer’s output changes least.',
  tpec: 'The reference optimiser, for comparison.',
  nearest: 'Each weight to its nearest FP8 value. Fastest.',
};

const LAYOUT_HELP: Readonly<Record<Options['layout'], string>> = {
  comfyui: 'weight_scale and comfy_quant: ComfyUI since December 2025.',
  'comfyui-legacy': 'scale_weight and scaled_fp8: older ComfyUI.',
  'compressed-tensors': 'vLLM, and transformers with compressed-tensors.',
  huggingface: 'weight_scale_inv: the fine-grained FP8 of transformers.',
  plain: 'weight and weight_scale alone, for your own programs.',
};

const TARGET_HELP: Readonly<Record<Options['target'], string>> = {
  float8_e4m3fn: 'Eight bits with three of fraction: the usual FP8.',
  float8_e5m2: 'Eight bits with two of fraction: coarser, wider.',
  int8: 'Whole numbers within ±127.',
  mxfp8: 'float8_e4m3fn in blocks of 32: Blackwell GPUs.',
  nvfp4: 'Four bits in blocks of 16: Blackwell GPUs.',
};

const GRANULARITY_HELP: Readonly<Record<Options['granularity'], string>> = {
  auto: 'What the layout takes for the target.',
  tensor: 'One scale for each tensor.',
  row: 'One scale for each row, which is an output channel.',
  block: 'One scale for each block.',
};

/** Ranks that the dropdown offers beside the one that is chosen. */
const RANKS = [1, 8, 32, 128, 512];

export function makeFields(events: FieldEvents): readonly Field[] {
  const choose = events.onOptions;
  return [
    dropdownField('Preset', [], (preset) => choose({ preset }), {
      value: ({ options }) => options.preset,
      choices: ({ presets }) => presets,
      help: presetHelp,
      title: ({ recognised }) => recognised.evidence.join('\n').replaceAll('`', ''),
    }),
    dropdownField(
      'Target',
      [
        { value: 'float8_e4m3fn', label: 'FP8 E4M3' },
        { value: 'float8_e5m2', label: 'FP8 E5M2' },
        { value: 'int8', label: 'INT8' },
        { value: 'mxfp8', label: 'MXFP8' },
        { value: 'nvfp4', label: 'NVFP4' },
      ],
      (value) => choose({ target: value as Options['target'], granularity: 'auto' }),
      { value: ({ options }) => options.target, help: ({ options }) => TARGET_HELP[options.target] },
    ),
    dropdownField('Granularity', [], (value) => choose(granularityOf(value)), {
      value: ({ options }) => granularityValue(options),
      choices: ({ options }) => granularityChoices(options),
      help: ({ options }) => GRANULARITY_HELP[options.granularity],
    }),
    dropdownField(
      'Rounding',
      [
        { value: 'learned', label: 'Learned' },
        { value: 'tpec', label: 'TPEC' },
        { value: 'nearest', label: 'Nearest' },
      ],
      (value) => choose({ rounding: value as Options['rounding'] }),
      { value: ({ options }) => options.rounding, help: ({ options }) => ROUNDING_HELP[options.rounding] },
    ),
    dropdownField('Components', [], (value) => choose({ topK: value === 'full' ? 'full' : Number(value) }), {
      value: ({ options }) => String(options.topK),
      choices: ({ options }) => rankChoices(options.topK),
      help: ({ options }) =>
        options.rounding === 'nearest' ? 'Nearest rounding looks at none.' : 'Principal components that steer the rounding (top_k).',
    }),
    sliderField('Iterations', { least: 100, most: 2000, step: 100 }, (numIter) => choose({ numIter }), {
      value: ({ options }) => options.numIter,
      help: ({ options, lastSweeps }) =>
        options.rounding === 'nearest'
          ? 'Nearest rounding does not iterate.'
          : `At most this many. ${lastSweeps ?? 'It stops by itself after a few.'}`,
    }),
    dropdownField('Statistics', STATISTICS_OFFERS, (value) => choose({ statistics: value as Options['statistics'] }), {
      value: ({ options }) => options.statistics,
      help: ({ options }) => statisticsHelp(options),
    }),
    dropdownField('Sides', SIDES_OFFERS, (value) => choose({ sides: value as Options['sides'] }), {
      value: ({ options }) => options.sides,
      help: ({ options }) => sidesHelp(options),
    }),
    sliderField('Samples', { least: 512, most: 8192, step: 256 }, (calibSamples) => choose({ calibSamples }), {
      value: ({ options }) => options.calibSamples,
      help: ({ options }) => samplesHelp(options),
    }),
    dropdownField('Bias correction', BIAS_OFFERS, (value) => choose({ biasCorrection: value as Options['biasCorrection'] }), {
      value: ({ options }) => options.biasCorrection,
      help: ({ options }) => biasHelp(options),
    }),
    dropdownField(
      'Layout',
      [
        { value: 'comfyui', label: 'ComfyUI' },
        { value: 'comfyui-legacy', label: 'ComfyUI, legacy' },
        { value: 'compressed-tensors', label: 'compressed-tensors' },
        { value: 'huggingface', label: 'Hugging Face' },
        { value: 'plain', label: 'Plain' },
      ],
      (value) => choose({ layout: value as Options['layout'] }),
      { value: ({ options }) => options.layout, help: ({ options }) => LAYOUT_HELP[options.layout] },
    ),
    dropdownField(
      'Convolutions',
      [
        { value: 'keep', label: 'Keep' },
        { value: 'quantize', label: 'Quantize' },
      ],
      (value) => choose({ convolutions: value as Options['convolutions'] }),
      { value: ({ options }) => options.convolutions, help: () => 'ComfyUI ignores the scales of quantized convolutions.' },
    ),
    dropdownField(
      'Embeddings',
      [
        { value: 'keep', label: 'Keep' },
        { value: 'quantize', label: 'Quantize' },
      ],
      (value) => choose({ embeddings: value as Options['embeddings'] }),
      { value: ({ options }) => options.embeddings, help: () => 'Tables of tokens. ComfyUI reads them with one scale.' },
    ),
    dropdownField(
      'Quantized',
      [
        { value: 'keep', label: 'Keep' },
        { value: 'requantize', label: 'Round anew' },
      ],
      (value) => choose({ quantized: value as Options['quantized'] }),
      {
        value: ({ options }) => options.quantized,
        help: () => 'What becomes of weights that are quantized already.',
        applies: ({ sourceCodes }) => sourceCodes === 'some',
      },
    ),
    dropdownField('Device', [], (device) => choose({ device }), {
      value: ({ options }) => options.device,
      choices: ({ devices }) => devices,
      help: ({ deviceHelp }) => deviceHelp,
    }),
    dropdownField('Threads', [], (threads) => choose({ threads: Number(threads) }), {
      value: ({ options }) => String(options.threads),
      choices: ({ cores, options }) => threadChoices(cores, options.threads),
      help: () => 'The result is the same, byte for byte, with any number.',
    }),
    calibrationField(events),
    outputField(events),
  ];
}

interface Binding<Value> {
  readonly value: (view: PanelView) => Value;
  readonly help: (view: PanelView) => string;
  readonly title?: (view: PanelView) => string;
  /** Without it, to every file. */
  readonly applies?: (view: PanelView) => boolean;
}

function dropdownField(
  label: string,
  fixed: readonly DropdownChoice[],
  onChoose: (value: string) => void,
  binding: Binding<string> & { readonly choices?: (view: PanelView) => readonly DropdownChoice[] },
): Field {
  const control = dropdown({ label, describedBy: helpId(label), onChoose }, fixed);
  return field(label, control, {
    ...binding,
    before: (view) => {
      if (binding.choices !== undefined) control.showChoices(binding.choices(view));
    },
  });
}

function sliderField(
  label: string,
  range: { readonly least: number; readonly most: number; readonly step: number },
  onChoose: (value: number) => void,
  binding: Binding<number>,
): Field {
  return field<number>(label, slider({ label, describedBy: helpId(label), ...range, onChoose }), binding);
}

function outputField({ onOptions, onBrowse }: FieldEvents): Field {
  const text = textField({ label: 'Output', describedBy: helpId('Output'), onChoose: (output) => onOptions({ output }) });
  const browse = button({ label: 'Browse…', appearance: 'secondary', onPress: () => onBrowse('browseOutput') });
  const root = element('div', { class: 'output-row' }, [text.root, browse]);
  return field<string>(
    'Output',
    { root, show: (value) => text.show(value) },
    {
      value: ({ options, output }) => (options.output === '' ? output.fileName : inFolder(options.output, output)),
      help: ({ output: { form, directory } }) => (form === '' ? `In ${directory}` : `${form}, in ${directory}`),
    },
    'wide',
  );
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
  const root = element('div', { class: 'output-row' }, [text.root, browse, clear]);
  return field<string>(
    label,
    {
      root,
      show(value) {
        text.show(value);
        clear.toggleAttribute('disabled', value === '');
      },
    },
    { value: ({ options }) => options.calibration, help: ({ options }) => calibrationHelp(options) },
    'wide',
  );
}

function field<Value>(
  label: string,
  control: Control<Value>,
  binding: Binding<Value> & { readonly before?: (view: PanelView) => void },
  width: 'narrow' | 'wide' = 'narrow',
): Field {
  const help = element('p', { class: 'field-help', id: helpId(label) });
  const root = element('div', { class: `field field-${width}` }, [
    element('span', { class: 'field-label', text: label }),
    control.root,
    help,
  ]);
  return {
    root,
    show(view) {
      root.hidden = binding.applies?.(view) === false;
      binding.before?.(view);
      control.show(binding.value(view));
      const sentence = binding.help(view);
      setText(help, sentence);
      // The line may be too long for the panel.
      help.title = binding.title?.(view) ?? sentence;
    },
  };
}

function presetHelp({ options, recognised }: PanelView): string {
  const evidence = (recognised.evidence[0] ?? '').replaceAll('`', '');
  if (options.preset === 'none') return 'Only the rules that hold for every model.';
  if (options.preset === 'auto') {
    return recognised.title === undefined ? `No known family. ${evidence}` : `Recognised as ${recognised.title}: ${evidence}`;
  }
  return options.preset === 't5xxl'
    ? 'Removes the decoder and lm_head; keeps norms, biases, embeddings.'
    : 'Keeps what guides distilled models.';
}

const BLOCK_EDGES = [32, 64, 128, 256];

function granularityValue({ granularity, blockSize }: Pick<Options, 'granularity' | 'blockSize'>): string {
  return granularity === 'block' ? `block:${blockSize.join('x')}` : granularity;
}

function granularityOf(value: string): Partial<Options> {
  const [granularity = '', size] = value.split(':');
  const [rows = 128, columns = 128] = (size ?? '').split('x').filter(Boolean).map(Number);
  return { granularity: granularity as Options['granularity'], ...(size === undefined ? undefined : { blockSize: [rows, columns] }) };
}

function granularityChoices(options: Options): readonly DropdownChoice[] {
  const choices = [
    { value: 'auto', label: 'Automatic' },
    { value: 'tensor', label: 'Tensor' },
    { value: 'row', label: 'Row' },
    ...BLOCK_EDGES.map((edge) => ({ value: `block:${edge}x${edge}`, label: `Block ${edge} × ${edge}` })),
  ];
  const current = granularityValue(options);
  if (choices.some(({ value }) => value === current)) return choices;
  return [...choices, { value: current, label: `Block ${options.blockSize.join(' × ')}` }];
}

function rankChoices(topK: Options['topK']): readonly DropdownChoice[] {
  const ranks = topK === 'full' || RANKS.includes(topK) ? RANKS : [...RANKS, topK].sort((a, b) => a - b);
  return [{ value: 'full', label: 'All (full rank)' }, ...ranks.map((rank) => ({ value: String(rank), label: `First ${rank}` }))];
}

function threadChoices(cores: number, chosen: number): readonly DropdownChoice[] {
  const counts = new Set(
    [...Array.from({ length: Math.ceil(Math.log2(cores + 1)) }, (_, i) => 2 ** i), chosen].filter((count) => count > 0),
  );
  const some = [...counts].sort((a, b) => a - b).map((count) => ({ value: String(count), label: String(count) }));
  return [{ value: '0', label: `All (${cores})` }, ...some];
}

function inFolder(path: string, { directory, fileName }: PanelView['output']): string {
  return path.startsWith(directory) ? fileName : path;
}

function helpId(label: string): string {
  return `help-${label.toLowerCase().replaceAll(' ', '-')}`;
}
