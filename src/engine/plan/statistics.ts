/** statistics: which of what is known of a layer's inputs and outputs steers its rounding, and why. Pure. */
import type { Recipe } from './recipe';

export type InputStatistics = 'gram' | 'propagated' | 'calibrated';
export type OutputStatistics = 'none' | 'gram' | 'calibrated';

export interface StatisticsChoice {
  readonly inputs: InputStatistics;
  readonly outputs: OutputStatistics;
  /** Where the mean input is known from, if it is. */
  readonly mean: 'calibrated' | 'propagated' | 'unknown';
  /** One short sentence for people. */
  readonly reason: string;
}

/** What there is for one weight. */
export interface KnownStatistics {
  readonly calibration: 'none' | 'inputs' | 'outputs' | 'both';
  readonly calibratedMean: 'known' | 'unknown';
  /** Sides that the calibration file has, and that are all zero there. */
  readonly silent?: readonly ('inputs' | 'outputs')[];
  readonly propagation: 'reached' | 'not reached';
}

export function chooseStatistics(recipe: Recipe, known: KnownStatistics): StatisticsChoice {
  const { inputs, reason } = chooseInputs(recipe, known);
  const silent = known.silent?.includes('outputs') === true ? ' Its outputs are all zero in the calibration file.' : '';
  return { inputs, outputs: chooseOutputs(recipe, known), mean: meanOf(recipe, inputs, known), reason: `${reason}${silent}` };
}

function chooseInputs({ statistics }: Recipe, known: KnownStatistics): Pick<StatisticsChoice, 'inputs' | 'reason'> {
  const calibrated = known.calibration === 'inputs' || known.calibration === 'both';
  const propagated = known.propagation === 'reached';
  if (calibrated && (statistics === 'auto' || statistics === 'calibrated'))
    return { inputs: 'calibrated', reason: 'Calibrated: the calibration file has inputs of this layer.' };
  if (statistics === 'gram') return { inputs: 'gram', reason: 'Gram: the recipe asks for the weights alone.' };
  if (propagated) {
    const missing = missingInputs(statistics, known);
    return {
      inputs: 'propagated',
      reason: `Propagated: ${missing === undefined ? '' : `${missing}; `}samples reach it through the layers before it.`,
    };
  }
  return { inputs: 'gram', reason: `Gram: ${missingInputs(statistics, known) ?? 'what stands before this layer is not known'}.` };
}

/** Why a calibration file does not tell the inputs, where that is worth a word. */
function missingInputs(statistics: Recipe['statistics'], { calibration, silent }: KnownStatistics): string | undefined {
  if (statistics !== 'auto' && statistics !== 'calibrated') return undefined;
  if (silent?.includes('inputs') === true) return 'its inputs are all zero in the calibration file';
  if (calibration === 'outputs') return 'the calibration file has only outputs of this layer';
  return statistics === 'calibrated' ? 'the calibration file does not have inputs of this layer' : undefined;
}

/** A mean that was recorded, even alone, before one of propagated samples. */
function meanOf({ statistics }: Recipe, inputs: InputStatistics, known: KnownStatistics): StatisticsChoice['mean'] {
  if (known.calibratedMean === 'known' && (statistics === 'auto' || statistics === 'calibrated')) return 'calibrated';
  if (inputs === 'gram') return 'unknown';
  return known.propagation === 'reached' ? 'propagated' : 'unknown';
}

/** `top_k` approximates the input side; the sweeps over both sides would undo what it saves. */
function chooseOutputs({ sides, topK }: Recipe, { calibration }: KnownStatistics): OutputStatistics {
  if (sides === 'input' || (sides === 'auto' && topK !== 'full')) return 'none';
  return calibration === 'outputs' || calibration === 'both' ? 'calibrated' : 'gram';
}
