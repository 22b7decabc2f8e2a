/** Numbers for people: sizes, counts, durations and shares, the same words in the editor, the CLI and reports. */

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
/** Steps in seconds, and below which time each is used. */
const LEFT_STEPS = [
  [1, 10],
  [5, 60],
  [10, 600],
  [60, 3600],
  [300, Infinity],
] as const;
const COUNT_UNITS = ['', ' K', ' M', ' B', ' T'] as const;

/** Decimal units with three significant digits: `8.30 MB`, `512 B`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, BYTE_UNITS, ' ');
}

/** A large count with three significant digits: `4.15 M`, `12.0 B`; small ones in full. */
export function formatCount(count: number): string {
  return count < 10_000 ? formatInteger(count) : scaled(count, COUNT_UNITS, '');
}

/** Digits in groups of three: `20,000`. */
export function formatInteger(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A number of things: `1 tensor`, `20,000 tensors`; `many` where an s does not make the plural. */
export function formatQuantity(count: number, one: string, many = `${one}s`): string {
  return `${formatInteger(count)} ${count === 1 ? one : many}`;
}

/** `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${pad(whole % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** How far something is: it is done only when it is, `99 %`. */
export function formatProgress(fraction: number): string {
  return `${Math.floor(fraction * 100)} %`;
}

/** An estimate, no finer than it is good: `about 8 s left`, `about 1 min 30 s left`, `about 25 min left`. */
export function formatTimeLeft(seconds: number): string {
  const [step = 1] = LEFT_STEPS.find(([, below]) => seconds < below) ?? [];
  const rounded = Math.max(step, Math.round(seconds / step) * step);
  const text = rounded < 10 ? `${rounded} s` : formatSeconds(rounded);
  return `about ${rounded >= 600 && rounded < 3600 ? text.replace(/ 00 s$/, '') : text} left`;
}

export function formatThroughput(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

/** A share of one as a percentage: `42 %`, `2.6 %`, `<0.1 %`. */
export function formatPercent(share: number): string {
  if (!Number.isFinite(share)) return '–';
  const percent = share * 100;
  if (percent === 0) return '0 %';
  if (percent < 0.1) return '<0.1 %';
  return percent < 9.95 ? `${percent.toFixed(1)} %` : `${Math.round(percent)} %`;
}

/** `4096 × 11008`; a scalar has no dimensions. */
export function formatShape(shape: readonly number[]): string {
  return shape.length === 0 ? 'scalar' : shape.join(' × ');
}

function scaled(value: number, units: readonly string[], gap: string): string {
  let unit = 0;
  let rest = value;
  // 999.5 would print as 1000 of this unit, so it already belongs to the next.
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  if (unit === 0) return `${formatInteger(rest)}${gap}${units[0]}`;
  return `${rest.toFixed(rest < 9.995 ? 2 : rest < 99.95 ? 1 : 0)}${gap}${units[unit]}`;
}

function pad(value: number): string {
  return value.toString().padStart(2, '0');
}
