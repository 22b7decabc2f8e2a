/** statisticsTerms: a choice of statistics becomes the terms that the quantizer adds up, with their weights and damping. Pure. */
import { isValueDtype } from '../dtype';
import { EngineError } from '../errors';
import type { CalibratedSide, Calibration } from '../plan/calibration';
import type { TensorQuantization } from '../plan/plan';
import { calibratedInputsOf } from '../plan/statistics';
import type { Statistics, StatisticsTerm, TensorValues } from './quantizer';

/** What a run of propagated samples wrote of one layer's input. */
export interface PropagatedInput {
  readonly kind: 'samples' | 'secondMoment';
  readonly values: TensorValues;
}

/** Everything but the choice: where statistics lie that are not in the weights. */
export interface StatisticsSources {
  readonly calibration?: { readonly calibration: Calibration; readonly file: number };
  readonly propagated: ReadonlyMap<string, PropagatedInput>;
  /** The mean inputs of the same layers: one F32 for each column. */
  readonly means: ReadonlyMap<string, TensorValues>;
}

const GRAM: StatisticsTerm = { kind: 'gram', weight: 1 };
/** In units of the mean diagonal. */
const PROPAGATED_DAMPING = 0.15;
const GRAM_OUTPUT_DAMPING = 2;
const CALIBRATED_GRAM_OUTPUT_DAMPING = 1;
/** Of calibrated inputs and of output gradients: their damping falls with the number of samples, down to these. */
const LEAST_INPUT_DAMPING = 0.003;
const LEAST_GRADIENT_DAMPING = 0.03;
const MOST_DAMPING = 0.3;
/** Of a diagonal beside propagated statistics: it damps where inputs are large, and takes most of the damping's place. */
const DIAGONAL_WEIGHT = 0.1;
const DIAGONAL_DAMPING = 0.03;

/** `inputs` is absent where they are the quantizer's own: gram. */
export function statisticsOf(
  { weightName, columns, rows, statistics }: TensorQuantization,
  sources: StatisticsSources,
): { readonly inputs?: Statistics; readonly outputs?: Statistics } {
  if (statistics === undefined) return {};
  const layer = sources.calibration?.calibration.byWeight.get(weightName);
  const file = sources.calibration?.file ?? 0;
  const propagated = sources.propagated.get(weightName);
  const beside = statistics.beside === 'propagated' ? required(propagated, weightName) : undefined;
  const inputs = ((): Statistics | undefined => {
    switch (statistics.inputs) {
      case 'gram':
        return undefined;
      case 'propagated':
        return { terms: [GRAM, { ...required(propagated, weightName), weight: 1 }], damping: PROPAGATED_DAMPING };
      case 'calibrated':
        return calibratedInputs(required(layer?.inputs, weightName), file, columns, beside);
    }
  })();
  const outputs = ((): Statistics | undefined => {
    switch (statistics.outputs) {
      case 'none':
        return undefined;
      case 'gram':
        return { terms: [GRAM], damping: statistics.inputs === 'calibrated' ? CALIBRATED_GRAM_OUTPUT_DAMPING : GRAM_OUTPUT_DAMPING };
      case 'calibrated': {
        const side = required(layer?.outputs, weightName);
        return { terms: [{ ...termOf(side, file), weight: 1 }], damping: leastDampingOf('outputs', rows, side.samples, side.leastDamping) };
      }
    }
  })();
  return { ...(inputs === undefined ? {} : { inputs }), ...(outputs === undefined ? {} : { outputs }) };
}

function inputDamping(damping: number): number {
  return Math.min(MOST_DAMPING, Math.max(LEAST_INPUT_DAMPING, damping));
}

/** What a side of its own is damped with at least, whatever else there is; `needed` where that is more. */
export function leastDampingOf(side: 'inputs' | 'outputs', size: number, samples: number, needed = 0): number {
  const share = size / samples;
  const own = side === 'inputs' ? inputDamping(Math.min(0.1 * share, 0.3 * share ** 1.5)) : Math.max(LEAST_GRADIENT_DAMPING, 0.1 * share);
  return Math.max(own, needed);
}

/**
 * The fewer samples there are for each input, the less they say: the more weight have the statistics that need none, and the more damping.
 * Fitted on the sample model (docs/quality.md).
 */
function calibratedInputs(side: CalibratedSide, file: number, columns: number, prior: PropagatedInput | undefined): Statistics {
  // A diagonal alone would leave nothing to learn: what is known of how inputs go together comes from elsewhere.
  if (side.kind === 'diagonal') {
    const diagonal = termOf(side, file);
    if (prior === undefined) return { terms: [{ ...diagonal, weight: 1 }, GRAM], damping: PROPAGATED_DAMPING };
    return { terms: [{ ...diagonal, weight: DIAGONAL_WEIGHT }, GRAM, { ...prior, weight: 1 }], damping: DIAGONAL_DAMPING };
  }
  const share = columns / side.samples;
  const damped = (damping: number): number => Math.max(inputDamping(damping), side.leastDamping ?? 0);
  const own: StatisticsTerm = { ...termOf(side, file), weight: 1 };
  if (calibratedInputsOf(side, columns) === 'enough') return { terms: [own], damping: damped(0.3 * share ** 1.5) };
  const priorWeight = Math.min(1, 0.4 * share);
  return { terms: [own, { ...(prior ?? GRAM), weight: priorWeight }], damping: damped(0.1 * share) / (1 + priorWeight) };
}

function termOf(
  { kind, values: { begin, end, dtype } }: CalibratedSide,
  file: number,
): Pick<CalibratedSide, 'kind'> & { readonly values: TensorValues } {
  if (!isValueDtype(dtype)) throw new EngineError('Internal', `statistics of ${dtype} were not refused`);
  return { kind, values: { range: { file, offset: begin, length: end - begin }, dtype, scale: 1 } };
}

function required<T>(value: T | undefined, weight: string): T {
  if (value === undefined)
    throw new EngineError('Internal', `the plan chose statistics for "${weight}" that are not there`, { tensor: weight });
  return value;
}
