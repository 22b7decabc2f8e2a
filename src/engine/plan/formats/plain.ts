/** Layout `plain`: `<layer>.weight` and `<layer>.weight_scale`, of stacked experts `<name>` and `<name>_scale`, nothing else, for programs that multiply the two themselves. */
import { TARGET_FACTS, type Encoding } from '../encoding';
import { scaleGrid, storageOf, type MatrixStorage } from '../matrixStorage';
import { NOTHING_MORE, type Matrix, type OutputFormat } from '../outputFormat';

export const plain: OutputFormat = {
  loader: 'A program that reads the layout plain',
  projections: 'apart',
  holds: {
    float8_e4m3fn: ['tensor', 'row', 'block'],
    float8_e5m2: ['tensor', 'row', 'block'],
    int8: ['row', 'tensor', 'block'],
    mxfp8: ['block'],
    nvfp4: ['block'],
  },
  limits: 'mxfp8 and nvfp4 have blocks of their own.',

  obstacle({ columns, experts }, { target, granularity }) {
    if (experts !== undefined && granularity.kind === 'block') return 'Stacked experts have a scale for each expert, or one for each row.';
    return target === 'nvfp4' && columns % 2 !== 0 ? `Two nvfp4 codes share a byte, and ${columns} columns leave one alone.` : undefined;
  },

  refusal: () => undefined,

  store(layer, matrix, encoding) {
    const { name, shape, rows, columns } = matrix;
    const { target } = encoding;
    const weight = { name, dtype: TARGET_FACTS[target].dtype, shape: target === 'nvfp4' ? [rows, columns / 2] : shape };
    const storage = { ...storageOf(encoding, columns), ...expertBlock(matrix, encoding) };
    const scale = { name: `${name}_scale`, shape: scaleShape(matrix, encoding, storage.block) };
    switch (target) {
      case 'nvfp4':
        return {
          storage: { ...storage, scaleOrder: 'plain', nibbles: 'evenHigh', tensorScaleForm: 'factor' },
          weight,
          scales: [{ ...scale, dtype: 'F8_E4M3' }],
          tensorScales: [{ name: `${layer}.weight_scale_2`, dtype: 'F32', shape: [] }],
          literals: [],
        };
      case 'mxfp8':
        return {
          storage: { ...storage, scaleOrder: 'plain' },
          weight,
          scales: [{ ...scale, dtype: 'U8' }],
          tensorScales: [],
          literals: [],
        };
      case 'float8_e4m3fn':
      case 'float8_e5m2':
      case 'int8':
        return {
          storage: { ...storage, scaleOrder: 'plain' },
          weight,
          scales: [{ ...scale, dtype: 'F32' }],
          tensorScales: [],
          literals: [],
        };
    }
  },

  wholeFile: () => NOTHING_MORE,
};

/** What a tensor is elsewhere, each expert is in a stack. */
function expertBlock({ rows, columns, experts }: Matrix, { granularity }: Encoding): Pick<MatrixStorage, 'block'> {
  return experts === undefined || granularity.kind !== 'tensor' ? {} : { block: { rows: rows / experts, columns } };
}

/** Those of experts have the stack's dimensions, so that the two can be multiplied as they are. */
function scaleShape({ rows, columns, experts }: Matrix, { granularity }: Encoding, block: MatrixStorage['block']): readonly number[] {
  if (experts !== undefined) return [experts, granularity.kind === 'tensor' ? 1 : rows / experts, 1];
  return granularity.kind === 'tensor' ? [] : scaleGrid(rows, columns, block);
}
