/**
 * errorLimits: whether a weight's error is what its codes and scales come to, or what something else has done to it. Pure.
 *
 * Nearest rounding is known exactly. Learned rounding trades a larger error of the weights for a smaller one of the outputs: on the sample model up
 * to 2.6 times the squared error of nearest rounding with the same scales for floating grids, 1.7 for int8 and 1.9 for nvfp4, and never more than 2.7
 * halves of the widest step with F32 scales of floating grids. Scales of the others may be chosen to cut off large values, so that their steps say little.
 *
 * How much it trades follows the inputs. Where a calibration file tells that a layer hardly sees most directions, it was seen to be 18 times the squared
 * error, and 5 halves of a step. Whatever the error, it hardly points along the weights themselves: as a share of their norm by 0.1 % for
 * float8_e4m3fn, mxfp8 and int8, 0.4 % for float8_e5m2 and 1.1 % for nvfp4, an eighth of the error of nearest rounding at most. A scale that
 * is not its own does just that: from half of that error on it is found.
 *
 * Where a scale belongs to few values, or to one that outweighs the others, nearest rounding says little. Every value is then the largest of its scale and
 * hits a code, so that the scale's own rounding, upwards, is all the error that is left: no measure for learned rounding, which lets one value take over
 * the error of others, by many steps where its own scale is small. What the grid does to numbers of any size is the measure then.
 */
import { TARGET_FACTS, type Encoding, type Grid } from '../../plan/encoding';
import type { ComparedResult } from '../quantizer';

/** How a weight was rounded: `known` to be nearest, learned from the model alone, or in any way, as by calibration or another tool. */
export type Making = 'nearest' | 'learned' | 'any';

/** Squared error as a multiple of that of nearest rounding, and steps in halves of the widest one. */
interface ErrorLimit {
  readonly ratio: number;
  readonly steps: number;
}

const NEAREST: ErrorLimit = { ratio: 1.01, steps: 1.01 };
const LEARNED: Readonly<Record<Encoding['target'], ErrorLimit>> = {
  float8_e4m3fn: { ratio: 8, steps: 5 },
  float8_e5m2: { ratio: 8, steps: 5 },
  int8: { ratio: 4, steps: Infinity },
  mxfp8: { ratio: 8, steps: Infinity },
  nvfp4: { ratio: 3, steps: Infinity },
};
const ANY: Readonly<Record<Encoding['target'], ErrorLimit>> = {
  float8_e4m3fn: { ratio: 64, steps: 16 },
  float8_e5m2: { ratio: 64, steps: 16 },
  int8: { ratio: 64, steps: Infinity },
  mxfp8: { ratio: 64, steps: Infinity },
  nvfp4: { ratio: 16, steps: Infinity },
};

/**
 * The squared error of numbers of any size as a share of their squares. Of m digits after the first, evenly spread logarithms: 2⁻²ᵐ · ⅜ ÷ (12 · ln 2).
 * Of int8, whose steps are all the same, that of the largest number: half a step.
 */
const GRID_ERRORS: Readonly<Record<Grid, number>> = {
  e4m3: (2 ** -6 * 0.375) / (12 * Math.LN2),
  e5m2: (2 ** -4 * 0.375) / (12 * Math.LN2),
  e2m1: (2 ** -2 * 0.375) / (12 * Math.LN2),
  int8: (1 / 254) ** 2,
};

/** Scales are rounded up to BF16, which makes the largest values longer by up to this, and no others. */
const LARGEST_SCALE_GROWTH = 2 ** -7;
/** From this share of the squared error on, one value decides what all come to. It is less wherever a thousand of about the same size are rounded. */
const ONE_VALUE_SHARE = 1 / 32;
/** A value is far from the source where its error is beyond this many times that of the average, for each half of a step that it may be away. */
const FAR_FROM_AVERAGE = 3;

/** Half the distance between neighbours: as a share of a number, and of the smallest numbers, which have fewer digits, by itself. */
const HALF_STEPS: Readonly<Record<string, { readonly relative: number; readonly absolute: number }>> = {
  BF16: { relative: 2 ** -8, absolute: 2 ** -134 },
  F16: { relative: 2 ** -11, absolute: 2 ** -25 },
};

/** Of numbers that were rounded once from those that codes stand for, or, in F32, not at all. A sentence; undefined where they are right. */
export function problemOfNumbers(result: ComparedResult, dtype: string, shape: readonly number[]): string | undefined {
  const { equal, squaredError, squaredSource, nonFiniteCount } = result;
  if (!equal && nonFiniteCount > 0) return `${nonFiniteCount} of its values are NaN or infinite.`;
  const { relative, absolute } = HALF_STEPS[dtype] ?? { relative: 0, absolute: 0 };
  // F32 is rounded to before: a hundredth more is beyond what that adds.
  if (equal || squaredError <= 1.01 * (relative ** 2 * squaredSource + countOf(shape) * absolute ** 2)) return undefined;
  const percent = (100 * Math.sqrt(squaredError / squaredSource)).toPrecision(3);
  return `It differs from the numbers that the source's codes stand for by ${percent} %.`;
}

/** A sentence; undefined where the error is as it should be. */
export function problemOfError(result: ComparedResult, { target }: Encoding, making: Making, shape: readonly number[]): string | undefined {
  const { squaredError, squaredSource, squaredNearest, maxAbsoluteError, largestStepError = 0 } = result;
  if (squaredNearest === undefined || squaredError === 0) return undefined;
  const limit = making === 'nearest' ? NEAREST : making === 'learned' ? LEARNED[target] : ANY[target];
  const percent = (error: number): string => (squaredSource === 0 ? '0 %' : `${(100 * Math.sqrt(error / squaredSource)).toPrecision(3)} %`);
  // Half of what the grid does to numbers of any size: weights whose scales have many values are above it, and are held to what is known of them.
  const gridError = (GRID_ERRORS[TARGET_FACTS[target].grid] / 2) * squaredSource;
  const expected = making === 'nearest' ? squaredNearest : Math.max(squaredNearest, gridError);
  if (!(squaredError <= limit.ratio * expected)) {
    const differs = squaredSource === 0 ? 'is not zero' : `differs from the source by ${percent(squaredError)}`;
    return `It ${differs}, where its scales allow ${percent(expected)}, so its codes or its scale are not its own.`;
  }
  const growth = growthOf(result);
  // Codes that are the nearest with their scale are its own, and a weight may be of a single number that is rounded up everywhere.
  const mayShow = squaredError > NEAREST.ratio * squaredNearest && maxAbsoluteError ** 2 < ONE_VALUE_SHARE * squaredError;
  if (mayShow && Math.abs(growth) > Math.max(Math.sqrt(squaredNearest / squaredSource) / 2, LARGEST_SCALE_GROWTH)) {
    const than = `${(100 * Math.abs(growth)).toPrecision(3)} % ${growth > 0 ? 'larger' : 'smaller'} than the source`;
    return `Its values are ${than} all together, which no rounding makes them, so its scale is not its own.`;
  }
  const isFar = maxAbsoluteError > FAR_FROM_AVERAGE * limit.steps * Math.sqrt(expected / countOf(shape));
  if (largestStepError <= limit.steps || (making !== 'nearest' && !isFar)) return undefined;
  return `A value is ${(largestStepError / 2).toPrecision(2)} of the widest steps from the source, too far for rounding, so its codes or its scale are not its own.`;
}

/** ⟨Q, W⟩ ÷ ‖W‖² − 1: by how much the error makes the weights longer. At most the relative error, by Cauchy and Schwarz. */
function growthOf({ squaredError, squaredSource, squaredConverted }: ComparedResult): number {
  return squaredConverted === undefined || squaredSource === 0
    ? 0
    : (squaredConverted - squaredError - squaredSource) / (2 * squaredSource);
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
