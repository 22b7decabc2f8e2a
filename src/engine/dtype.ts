/** The one table of safetensors dtypes: how many bits an element takes and what it stands for. */

export const DTYPES = {
  BOOL: { bits: 8, kind: 'bool' },
  F4: { bits: 4, kind: 'float' },
  F6_E2M3: { bits: 6, kind: 'float' },
  F6_E3M2: { bits: 6, kind: 'float' },
  U8: { bits: 8, kind: 'int' },
  I8: { bits: 8, kind: 'int' },
  F8_E5M2: { bits: 8, kind: 'float' },
  F8_E4M3: { bits: 8, kind: 'float' },
  F8_E8M0: { bits: 8, kind: 'float' },
  F8_E4M3FNUZ: { bits: 8, kind: 'float' },
  F8_E5M2FNUZ: { bits: 8, kind: 'float' },
  I16: { bits: 16, kind: 'int' },
  U16: { bits: 16, kind: 'int' },
  F16: { bits: 16, kind: 'float' },
  BF16: { bits: 16, kind: 'float' },
  I32: { bits: 32, kind: 'int' },
  U32: { bits: 32, kind: 'int' },
  F32: { bits: 32, kind: 'float' },
  C64: { bits: 64, kind: 'complex' },
  F64: { bits: 64, kind: 'float' },
  I64: { bits: 64, kind: 'int' },
  U64: { bits: 64, kind: 'int' },
} as const satisfies Readonly<Record<string, { readonly bits: number; readonly kind: 'bool' | 'int' | 'float' | 'complex' }>>;

export type Dtype = keyof typeof DTYPES;

/** The dtypes that the quantizer takes as a source. */
export type SourceDtype = 'F32' | 'F16' | 'BF16';

const NAMES: ReadonlySet<string> = new Set(Object.keys(DTYPES));

export function isDtype(text: string): text is Dtype {
  return NAMES.has(text);
}

export function isSourceDtype(dtype: Dtype): dtype is SourceDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** The dtypes whose values can be looked at: each element is a real number and takes whole bytes. */
export type ValueDtype = Exclude<Dtype, (typeof OPAQUE)[number]>;

const OPAQUE = ['F4', 'F6_E2M3', 'F6_E3M2', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ', 'C64'] as const satisfies readonly Dtype[];

export function isValueDtype(dtype: Dtype): dtype is ValueDtype {
  const opaque: readonly Dtype[] = OPAQUE;
  return !opaque.includes(dtype);
}
