/** The fields that say what is written, and for whom. */
import { LAYOUT_LABELS, TARGET_LABELS } from '../protocol/labels';
import type { Options, PanelView } from '../protocol/panelApi';
import type { DropdownChoice } from '../ui';
import { dropdownField, type Field, type FieldEvents } from './field';
import { helpOf, type Offer } from './offer';

const TARGET_OFFERS: readonly Offer<Options['target']>[] = [
  { value: 'float8_e4m3fn', label: TARGET_LABELS.float8_e4m3fn, help: 'Eight bits with three of fraction: the usual FP8.' },
  { value: 'float8_e5m2', label: TARGET_LABELS.float8_e5m2, help: 'Eight bits with two of fraction: coarser, wider.' },
  { value: 'int8', label: TARGET_LABELS.int8, help: 'Whole numbers within ±127.' },
  { value: 'mxfp8', label: TARGET_LABELS.mxfp8, help: 'E4M3 in blocks of 32: Blackwell GPUs.' },
  { value: 'nvfp4', label: TARGET_LABELS.nvfp4, help: 'Four bits in blocks of 16: Blackwell GPUs.' },
];

const LAYOUT_OFFERS: readonly Offer<Options['layout']>[] = [
  { value: 'comfyui', label: LAYOUT_LABELS.comfyui, help: 'weight_scale and comfy_quant: ComfyUI since December 2025.' },
  { value: 'comfyui-legacy', label: LAYOUT_LABELS['comfyui-legacy'], help: 'scale_weight and scaled_fp8: older ComfyUI.' },
  { value: 'compressed-tensors', label: LAYOUT_LABELS['compressed-tensors'], help: 'vLLM, and transformers with compressed-tensors.' },
  { value: 'huggingface', label: LAYOUT_LABELS.huggingface, help: 'weight_scale_inv: the fine-grained FP8 of transformers.' },
  { value: 'plain', label: LAYOUT_LABELS.plain, help: 'weight and weight_scale alone, for your own programs.' },
];

const GRANULARITY_HELP: Readonly<Record<Options['granularity'], string>> = {
  auto: 'What the layout takes for the target.',
  tensor: 'One scale for each tensor.',
  row: 'One scale for each row, which is an output channel.',
  block: 'One scale for each block.',
};

const BLOCK_EDGES = [32, 64, 128, 256];

export function formatFields({ onOptions }: FieldEvents): readonly Field[] {
  return [
    dropdownField('Preset', [], (preset) => onOptions({ preset }), {
      value: ({ options }) => options.preset,
      choices: ({ presets }) => presets,
      help: presetHelp,
      title: ({ recognised }) => recognised.evidence.join('\n').replaceAll('`', ''),
    }),
    dropdownField('Target', TARGET_OFFERS, (value) => onOptions({ target: value as Options['target'], granularity: 'auto' }), {
      value: ({ options }) => options.target,
      help: ({ options }) => helpOf(TARGET_OFFERS, options.target),
    }),
    dropdownField('Granularity', [], (value) => onOptions(granularityOf(value)), {
      value: ({ options }) => granularityValue(options),
      choices: ({ options }) => granularityChoices(options),
      help: ({ options }) => GRANULARITY_HELP[options.granularity],
    }),
    dropdownField('Layout', LAYOUT_OFFERS, (value) => onOptions({ layout: value as Options['layout'] }), {
      value: ({ options }) => options.layout,
      help: ({ options }) => helpOf(LAYOUT_OFFERS, options.layout),
    }),
  ];
}

export function formatSummary({ options, presets }: PanelView): string {
  const { preset, target, granularity, layout } = options;
  const named = presets.find(({ value }) => value === preset)?.label ?? preset;
  return [
    TARGET_LABELS[target],
    LAYOUT_LABELS[layout],
    ...(granularity === 'auto' ? [] : [granularityLabel(options).toLowerCase()]),
    ...(preset === 'auto' ? [] : [preset === 'none' ? 'no preset' : named]),
  ].join(' · ');
}

function granularityLabel(options: Options): string {
  const value = granularityValue(options);
  return granularityChoices(options).find((choice) => choice.value === value)?.label ?? value;
}

function presetHelp({ options, recognised }: PanelView): string {
  if (options.preset === 'none') return 'Only the rules that hold for every model.';
  if (options.preset === 'auto') {
    return recognised.title === undefined ? 'No known family: the general rules alone.' : `Recognised as ${recognised.title}.`;
  }
  return options.preset === 't5xxl'
    ? 'Removes the decoder and lm_head; keeps norms, biases, embeddings.'
    : 'Keeps what guides distilled models.';
}

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
