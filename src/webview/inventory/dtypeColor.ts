/** One colour of the theme's charts for each family of dtypes, so that a dtype looks the same in every file. */

export function dtypeColor(dtype: string): string {
  return `var(--fp8-dtype-${familyOf(dtype)})`;
}

function familyOf(dtype: string): string {
  if (/^F(8|6|4)_?/.test(dtype)) return 'small-float';
  switch (dtype) {
    case 'BF16':
      return 'bf16';
    case 'F16':
      return 'f16';
    case 'F32':
    case 'F64':
      return 'wide-float';
    case 'I8':
    case 'U8':
      return 'byte';
    default:
      return 'other';
  }
}
