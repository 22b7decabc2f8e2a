/** statistics: which of what is known of a layer's inputs and outputs steers its rounding, and why. Pure. */
import type { Recipe } from './recipe';

export type InputStatistics = 'gram' | 'propagated' | 'calibrated';
export type OutputStatistics = 'none' | 'gram' | 'calibrated';
export type DeviceKind = 'cpu' | 'cuda';

export interface StatisticsChoice {
  readonly inputs: InputStatistics;
  readonly outputs: OutputStatistics;
  /** Where the mean input is known from, if it is. */
  readonly mean: 'calibrated' | 'propagated' | 'unknown';
  /** What is added to calibrated inputs that say little by themselves. */
  readonly beside?: 'propagated';
  /** One short sentence for people. */
  readonly reason: string;
}

/** Samples reach a weight, and say nothing: all of them are zero, or their values have left what a number can hold. */
export type LostSignal = 'zeros' | 'overflow';

/** What there is for one weight. */
export interface KnownStatistics {
  /** `no layer`: there is a file, which says nothing of this one's inputs and outputs. */
  readonly calibration: 'none' | 'no layer' | 'inputs' | 'outputs' | 'both';
  readonly calibratedMean: 'known' | 'unknown';
  /** Whether the file's inputs say enough by themselves; `mean squares` say nothing of how inputs go together. */
  readonly calibratedInputs?: 'enough' | 'few' | 'mean squares';
  /** Sides that the calibration file has, and that are all zero there. */
  readonly silent?: readonly ('inputs' | 'outputs')[];
  readonly propagation: 'reached' | 'not reached' | LostSignal;
  readonly device: DeviceKind;
}

/** With so many samples for each input, others beside them would count for a twentieth and less. */
const ENOUGH_SAMPLES = 8;

export function calibratedInputsOf(
  { kind, samples }: { readonly kind: 'samples' | 'secondMoment' | 'diagonal'; readonly samples: number },
  columns: number,
): NonNullable<KnownStatistics['calibratedInputs']> {
  if (kind === 'diagonal') return 'mean squares';
  return samples >= ENOUGH_SAMPLES * columns ? 'enough' : 'few';
}

/**
 * What is left to `auto` on a GPU is what keeps a conversion at the disk's speed: sweeps over both sides take several times as long as the
 * rest, so they are done where they are asked for. Recorded output gradients are asked for by the file.
 */
export function chooseStatistics(recipe: Recipe, known: KnownStatistics): StatisticsChoice {
  const outputs = chooseOutputs(recipe, known);
  const { inputs, beside, reason } = chooseInputs(recipe, known, outputs);
  const silent = known.silent?.includes('outputs') === true ? ' Its outputs are all zero in the calibration file.' : '';
  const common = { inputs, outputs, mean: meanOf(recipe, inputs, known), reason: `${reason}${silent}` };
  return beside === undefined ? common : { ...common, beside };
}

function chooseInputs(
  { statistics }: Recipe,
  known: KnownStatistics,
  outputs: OutputStatistics,
): Pick<StatisticsChoice, 'inputs' | 'beside' | 'reason'> {
  const calibrated = known.calibration === 'inputs' || known.calibration === 'both';
  const propagated = known.propagation === 'reached';
  if (calibrated && (statistics === 'auto' || statistics === 'calibrated')) {
    if (known.calibratedInputs === 'mean squares') {
      const squares = "Calibrated: the calibration file has only mean squares of this layer's inputs";
      if (!propagated) return { inputs: 'calibrated', reason: `${squares}, so the weights count beside them.` };
      return { inputs: 'calibrated', beside: 'propagated', reason: `${squares}, so propagated samples count beside them.` };
    }
    const reason = 'Calibrated: the calibration file has inputs of this layer';
    if (known.calibratedInputs === 'enough') return { inputs: 'calibrated', reason: `${reason}.` };
    if (!propagated) return { inputs: 'calibrated', reason: `${reason}; they are few, so the weights count beside them.` };
    return { inputs: 'calibrated', beside: 'propagated', reason: `${reason}; they are few, so propagated samples count beside them.` };
  }
  if (statistics === 'gram') {
    const reason =
      outputs === 'calibrated' ? 'Gram: of inputs, the recipe asks for the weights alone.' : 'Gram: the recipe asks for the weights alone.';
    return { inputs: 'gram', reason };
  }
  if (propagated) {
    const missing = missingInputs(statistics, known);
    return {
      inputs: 'propagated',
      reason: `Propagated: ${missing === undefined ? '' : `${missing}; `}samples reach it through the layers before it.`,
    };
  }
  const unreached = unreachedText(known.propagation);
  const missing = missingInputs(statistics, known);
  const both = missing !== undefined && known.propagation !== 'not reached' ? `${missing}, and ${unreached}` : (missing ?? unreached);
  return { inputs: 'gram', reason: `Gram: ${both}.` };
}

function unreachedText(propagation: Exclude<KnownStatistics['propagation'], 'reached'>): string {
  switch (propagation) {
    case 'zeros':
      return 'samples that go through the model reach it as zeros';
    case 'overflow':
      return 'samples that go through the model overflow on the way to it';
    case 'not reached':
      return 'what stands before this layer is not known';
  }
}

/** Why a calibration file does not tell the inputs, where that is worth a word. */
function missingInputs(statistics: Recipe['statistics'], { calibration, silent }: KnownStatistics): string | undefined {
  if (statistics !== 'auto' && statistics !== 'calibrated') return undefined;
  if (silent?.includes('inputs') === true) return 'its inputs are all zero in the calibration file';
  if (calibration === 'outputs') return 'the calibration file has only outputs of this layer';
  if (calibration === 'none') return statistics === 'calibrated' ? 'there is no calibration file' : undefined;
  return calibration === 'no layer' || statistics === 'calibrated' ? 'the calibration file does not have inputs of this layer' : undefined;
}

/** A mean that was recorded, even alone, before one of propagated samples. */
function meanOf({ statistics }: Recipe, inputs: InputStatistics, known: KnownStatistics): StatisticsChoice['mean'] {
  if (known.calibratedMean === 'known' && (statistics === 'auto' || statistics === 'calibrated')) return 'calibrated';
  if (inputs === 'gram') return 'unknown';
  return known.propagation === 'reached' ? 'propagated' : 'unknown';
}

/** `top_k` approximates the input side; the sweeps over both sides would undo what it saves. */
function chooseOutputs({ sides, topK }: Recipe, { calibration, device }: KnownStatistics): OutputStatistics {
  if (sides === 'input' || (sides === 'auto' && topK !== 'full')) return 'none';
  if (calibration === 'outputs' || calibration === 'both') return 'calibrated';
  return sides === 'auto' && device === 'cuda' ? 'none' : 'gram';
}
