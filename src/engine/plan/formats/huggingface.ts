/**
 * Layout `huggingface`, the fine-grained FP8 of transformers: `<layer>.weight_scale_inv`, one F32 for each block, which despite its name is
 * multiplied; and `quantization_config` in config.json.
 */
import { formatShape } from '../../../base/format';
import { granularityName, type BlockSize, type Encoding } from '../encoding';
import { scaleGrid, storageOf } from '../matrixStorage';
import { NOTHING_MORE, type Matrix, type OutputFormat } from '../outputFormat';
import { isTokenTable } from '../tensorNames';

export const huggingface: OutputFormat = {
  loader: 'transformers',
  projections: 'joined',
  holds: { float8_e4m3fn: ['block'] },
  limits: 'The fine-grained FP8 of transformers is float8_e4m3fn with a scale for each block.',

  obstacle(matrix, encoding) {
    if (matrix.shape.length !== 2 || isTokenTable(matrix.name)) return 'transformers reads fine-grained FP8 only in linear layers.';
    return obstacleOfBlocks(matrix, encoding);
  },

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

/**
 * Where transformers dequantizes on loading it takes a block for rows ÷ rows of scales, whatever config.json says: where blocks at the edges are
 * smaller this fails, or gives other numbers.
 */
function obstacleOfBlocks({ shape, rows, columns }: Matrix, { granularity }: Encoding): string | undefined {
  if (granularity.kind !== 'block') return undefined;
  const fits = ([tall, wide]: BlockSize): boolean => isEven(rows, tall) && isEven(columns, wide);
  if (fits([granularity.rows, granularity.columns])) return undefined;
  const edge = SMALLER_EDGES.find((size) => fits([size, size]));
  const remedy = edge === undefined ? 'the layout compressed-tensors takes any shape' : `block:${edge}x${edge} does`;
  return `${formatShape(shape)} does not divide into ${granularity.rows} × ${granularity.columns} blocks, as transformers asks; ${remedy}.`;
}

/** Blocks smaller than 16 × 16 would have a hundredth of the model in scales. */
const SMALLER_EDGES = [64, 32, 16] as const;

/** Also a single block may be larger than what it holds. */
function isEven(size: number, edge: number): boolean {
  return size <= edge || size % edge === 0;
}
