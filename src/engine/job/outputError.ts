/** outputError: how much of a tensor's rounding error reaches what its layer puts out, and which tensors come off worst. Pure. */
import type { TensorReport } from './report';

/** √objective ÷ ‖W‖, of what was written and of nearest rounding. */
export interface OutputError {
  readonly written: number;
  readonly nearest: number;
}

/** `undefined` where no objective was measured, e.g. with nearest rounding. */
export function outputErrorOf({ objective, objectiveNearest, squaredSource }: TensorReport): OutputError | undefined {
  if (objective === undefined || objectiveNearest === undefined || objectiveNearest <= 0) return undefined;
  if (squaredSource === undefined || squaredSource <= 0) return undefined;
  return { written: Math.sqrt(objective / squaredSource), nearest: Math.sqrt(objectiveNearest / squaredSource) };
}

/** By the error in the output, which is what counts; those of which it is not known come last, by the error of the weight. */
export function worstFirst(tensors: readonly TensorReport[]): readonly TensorReport[] {
  const keyed = tensors.map((tensor) => ({ tensor, output: outputErrorOf(tensor)?.written ?? -1, weight: tensor.relativeError ?? 0 }));
  return keyed.sort((a, b) => b.output - a.output || b.weight - a.weight).map(({ tensor }) => tensor);
}
