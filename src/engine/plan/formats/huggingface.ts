/**
 * Layout `huggingface`, the fine-grained FP8 of transformers: `<layer>.weight_scale_inv`, one F32 for each block, which despite its name is
 * multiplied; and `quantization_config` in config.json.
 */
import { granularityName } from '../encoding';
import { scaleGrid, storageOf } from '../matrixStorage';
import { NOTHING_MORE, type OutputFormat } from '../outputFormat';
import { isTokenTable } from '../tensorNames';

export const huggingface: OutputFormat = {
  loader: 'transformers',
  holds: { float8_e4m3fn: ['block'] },
  limits: 'The fine-grained FP8 of transformers is float8_e4m3fn with a scale for each block.',

  obstacle: ({ name, shape }) =>
    shape.length === 2 && !isTokenTable(name) ? undefined : 'transformers reads fine-grained FP8 only in linear layers.',

  refusal(layers) {
    const sizes = [...new Set(layers.map(({ encoding }) => granularityName(encoding.granularity)))];
    if (sizes.length < 2) return undefined;
    return `transformers reads one block size for the whole model, and the overrides ask for ${sizes.join(' and ')}. Give every layer the same, or choose the layout compressed-tensors.`;
  },

  store(layer, { name, shape, rows, columns }, encoding) {
    const storage = storageOf(encoding, columns);
    return {
      storage: { ...storage, scaleOrder: 'plain' },
      weight: { name, dtype: 'F8_E4M3', shape },
      scales: [{ name: `${layer}.weight_scale_inv`, dtype: 'F32', shape: scaleGrid(rows, columns, storage.block) }],
      tensorScales: [],
      literals: [],
    };
  },

  wholeFile: () => NOTHING_MORE,
};
