/** Numbers of tensors for people: few significant digits, from the tiny to the huge. Pure. */

export function formatValue(value: number): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  const magnitude = Math.abs(value);
  const text = magnitude >= 1e6 || magnitude < 1e-4 ? scientific(magnitude) : plain(magnitude);
  return value < 0 ? `−${text}` : text;
}

function scientific(magnitude: number): string {
  const [mantissa = '', exponent = ''] = magnitude.toExponential(3).split('e');
  return `${trimmed(mantissa)}e${exponent.replace('+', '').replace('-', '−')}`;
}

function plain(magnitude: number): string {
  return trimmed(magnitude >= 1e4 ? magnitude.toFixed(1) : magnitude.toPrecision(4));
}

function trimmed(digits: string): string {
  return digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits;
}
