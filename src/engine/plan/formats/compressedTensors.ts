/**
 * Layout `compressed-tensors`, read by vLLM and, through the package of that name, by transformers: `<layer>.weight_scale` with two dimensions,
 * and `quantization_config` in config.json. Activations are quantized by the loader while it runs.
 */
import { formatShape } from '../../../base/format';
import { TARGET_FACTS } from '../encoding';
import { fusedSets } from '../fusedProjections';
import { scaleGrid, storageOf } from '../matrixStorage';
import { NOTHING_MORE, type OutputFormat } from '../outputFormat';
import { isTokenTable } from '../tensorNames';

export const compressedTensors: OutputFormat = {
  loader: 'vLLM',
  projections: 'joined',
  holds: {
    float8_e4m3fn: ['row', 'block', 'tensor'],
    int8: ['row', 'tensor'],
    mxfp8: ['block'],
    nvfp4: ['block'],
  },
  limits: 'compressed-tensors knows float8_e4m3fn, int8, mxfp8 and nvfp4, and of int8 a scale for each row or for the tensor.',

  obstacle({ name, shape, rows, columns, experts }, encoding) {
    if (experts !== undefined) return 'compressed-tensors has a scale for each matrix, and no place for those of stacked experts.';
    if (isTokenTable(name)) return 'vLLM reads no scales of embeddings.';
    if (shape.length !== 2) return 'compressed-tensors quantizes linear layers only.';
    const { granularity } = encoding;
    if (granularity.kind !== 'block') return undefined;
    if (rows % granularity.rows === 0 && columns % granularity.columns === 0) return undefined;
    const remedy = TARGET_FACTS[encoding.target].block === undefined ? '; granularity row takes any shape' : '';
    return `${formatShape(shape)} does not divide into ${granularity.rows} × ${granularity.columns} blocks, as vLLM asks${remedy}.`;
  },

  refusal(layers) {
    const single = new Set(layers.filter(({ encoding }) => encoding.granularity.kind === 'tensor').map(({ layer }) => layer));
    const fused = fusedSets(single).find((set) => set.length > 1);
    if (fused === undefined) return undefined;
    const [first = '', ...others] = fused;
    return (
      `vLLM joins ${first} with ${others.join(' and ')}, and rounds them again to the largest of their scales, which undoes the rounding made here. ` +
      'Choose granularity row.'
    );
  },

  store(layer, { name, shape, rows, columns }, encoding) {
    const storage = storageOf(encoding, columns);
    const scaleShape = encoding.granularity.kind === 'tensor' ? [1] : scaleGrid(rows, columns, storage.block);
    const scaleName = `${layer}.weight_scale`;
    if (encoding.target === 'nvfp4') {
      return {
        storage: { ...storage, scaleOrder: 'plain', nibbles: 'evenLow', tensorScaleForm: 'divisor' },
        weight: { name: `${layer}.weight_packed`, dtype: 'U8', shape: [rows, columns / 2] },
        scales: [{ name: scaleName, dtype: 'F8_E4M3', shape: scaleShape }],
        tensorScales: [{ name: `${layer}.weight_global_scale`, dtype: 'F32', shape: [1] }],
        literals: [],
      };
    }
    return {
      storage: { ...storage, scaleOrder: 'plain' },
      weight: { name, dtype: TARGET_FACTS[encoding.target].dtype, shape },
      scales: [{ name: scaleName, dtype: encoding.target === 'mxfp8' ? 'U8' : 'F32', shape: scaleShape }],
      tensorScales: [],
      literals: [],
    };
  },

  wholeFile: () => NOTHING_MORE,
};
