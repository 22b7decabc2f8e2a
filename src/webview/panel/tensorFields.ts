/** The fields that say what becomes of tensors that are usually kept. */
import type { Options, PanelView } from '../protocol/panelApi';
import { dropdownField, type Field, type FieldEvents } from './field';

const KEEP_OR_QUANTIZE = [
  { value: 'keep', label: 'Keep' },
  { value: 'quantize', label: 'Quantize' },
];

export function tensorFields({ onOptions }: FieldEvents): readonly Field[] {
  return [
    dropdownField('Convolutions', KEEP_OR_QUANTIZE, (value) => onOptions({ convolutions: value as Options['convolutions'] }), {
      value: ({ options }) => options.convolutions,
      help: () => 'ComfyUI ignores the scales of quantized convolutions.',
    }),
    dropdownField('Embeddings', KEEP_OR_QUANTIZE, (value) => onOptions({ embeddings: value as Options['embeddings'] }), {
      value: ({ options }) => options.embeddings,
      help: () => 'Tables of tokens. ComfyUI reads them with one scale.',
    }),
    dropdownField(
      'Quantized',
      [
        { value: 'keep', label: 'Keep' },
        { value: 'requantize', label: 'Round anew' },
      ],
      (value) => onOptions({ quantized: value as Options['quantized'] }),
      {
        value: ({ options }) => options.quantized,
        help: () => 'What becomes of weights that are quantized already.',
        applies: ({ sourceCodes }) => sourceCodes === 'some',
      },
    ),
  ];
}

export function tensorSummary({ options, sourceCodes }: PanelView): string {
  const parts = [
    ...(options.convolutions === 'quantize' ? ['convolutions'] : []),
    ...(options.embeddings === 'quantize' ? ['embeddings'] : []),
    ...(options.quantized === 'requantize' && sourceCodes === 'some' ? ['quantized ones anew'] : []),
  ];
  return parts.length === 0 ? 'as the rules say' : `with ${parts.join(', ')}`;
}
