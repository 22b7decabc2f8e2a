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
  readonly propagation: 'reached' | 'not reached';
}

export function chooseStatistics(recipe: Recipe, known: KnownStatistics): StatisticsChoice {
  const { inputs, reason } = chooseInputs(recipe, known);
  return { inputs, outputs: chooseOutputs(recipe, known), mean: meanOf(inputs, known), reason };
}

function chooseInputs({ statistics }: Recipe, known: KnownStatistics): Pick<StatisticsChoice, 'inputs' | 'reason'> {
  const calibrated = known.calibration === 'inputs' || known.calibration === 'both';
  const propagated = known.propagation === 'reached';
  if (calibrated && (statistics === 'auto' || statistics === 'calibrated'))
    return { inputs: 'calibrated', reason: 'Calibrated: the calibration file has inputs of this layer.' };
  if (statistics === 'gram') return { inputs: 'gram', reason: 'Gram: the recipe asks for the weights alone.' };
  if (propagated) {
    const missing = statistics === 'calibrated' ? 'the calibration file does not have this layer; ' : '';
    return { inputs: 'propagated', reason: `Propagated: ${missing}samples reach it through the layers before it.` };
  }
  if (statistics === 'calibrated') return { inputs: 'gram', reason: 'Gram: the calibration file does not have this layer.' };
  return { inputs: 'gram', reason: 'Gram: what stands before this layer is not known.' };
}

function meanOf(inputs: InputStatistics, known: KnownStatistics): StatisticsChoice['mean'] {
  if (inputs === 'gram') return 'unknown';
  if (inputs === 'calibrated' && known.calibratedMean === 'known') return 'calibrated';
  return known.propagation === 'reached' ? 'propagated' : 'unknown';
}

/** `top_k` approximates the input side; the sweeps over both sides would undo what it saves. */
function chooseOutputs({ sides, topK }: Recipe, { calibration }: KnownStatistics): OutputStatistics {
  if (sides === 'input' || (sides === 'auto' && topK !== 'full')) return 'none';
  return calibration === 'outputs' || calibration === 'both' ? 'calibrated' : 'gram';
}
