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

/** What there is for one weight. */
export interface KnownStatistics {
  readonly calibration: 'none' | 'inputs' | 'outputs' | 'both';
  readonly calibratedMean: 'known' | 'unknown';
  /** Whether the file's inputs say enough by themselves. */
  readonly calibratedInputs?: 'enough' | 'few';
  /** Sides that the calibration file has, and that are all zero there. */
  readonly silent?: readonly ('inputs' | 'outputs')[];
  /** `zeros`: samples reach it, and none of them says anything. */
  readonly propagation: 'reached' | 'not reached' | 'zeros';
  readonly device: DeviceKind;
}

/** With so many samples for each input, those that are sent through the model would count for a twentieth and less. */
const ENOUGH_SAMPLES = 8;

export function calibratedInputsOf(
  { kind, samples }: { readonly kind: 'samples' | 'secondMoment' | 'diagonal'; readonly samples: number },
  columns: number,
): NonNullable<KnownStatistics['calibratedInputs']> {
  return kind !== 'diagonal' && samples >= ENOUGH_SAMPLES * columns ? 'enough' : 'few';
}

/**
 * What is left to `auto` on a GPU is what keeps a conversion at the disk's speed: samples go through the model on the CPU, and sweeps over both
 * sides take several times as long as the rest, so both are done where they are asked for. Recorded inputs and output gradients are asked for
 * by the file, and with few inputs the samples that they need beside them.
 */
export function chooseStatistics(recipe: Recipe, known: KnownStatistics): StatisticsChoice {
  const { inputs, beside, reason } = chooseInputs(recipe, known);
  const silent = known.silent?.includes('outputs') === true ? ' Its outputs are all zero in the calibration file.' : '';
  const common = { inputs, outputs: chooseOutputs(recipe, known), mean: meanOf(recipe, inputs, known), reason: `${reason}${silent}` };
  return beside === undefined ? common : { ...common, beside };
}

function chooseInputs({ statistics }: Recipe, known: KnownStatistics): Pick<StatisticsChoice, 'inputs' | 'beside' | 'reason'> {
  const calibrated = known.calibration === 'inputs' || known.calibration === 'both';
  const propagated = known.propagation === 'reached';
  if (calibrated && (statistics === 'auto' || statistics === 'calibrated')) {
    const reason = 'Calibrated: the calibration file has inputs of this layer';
    if (!propagated || known.calibratedInputs === 'enough') return { inputs: 'calibrated', reason: `${reason}.` };
    return { inputs: 'calibrated', beside: 'propagated', reason: `${reason}; they are few, so propagated samples count beside them.` };
  }
  if (statistics === 'gram') return { inputs: 'gram', reason: 'Gram: the recipe asks for the weights alone.' };
  if (propagated) {
    const missing = missingInputs(statistics, known);
    if (statistics === 'auto' && known.device === 'cuda') {
      const why = 'on a GPU, samples are sent through the model only where that is asked for';
      return { inputs: 'gram', reason: `Gram: ${missing === undefined ? '' : `${missing}; `}${why}.` };
    }
    return {
      inputs: 'propagated',
      reason: `Propagated: ${missing === undefined ? '' : `${missing}; `}samples reach it through the layers before it.`,
    };
  }
  const unreached =
    known.propagation === 'zeros' ? 'samples that go through the model reach it as zeros' : 'what stands before this layer is not known';
  const missing = missingInputs(statistics, known);
  const both = missing !== undefined && known.propagation === 'zeros' ? `${missing}, and ${unreached}` : (missing ?? unreached);
  return { inputs: 'gram', reason: `Gram: ${both}.` };
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
function chooseOutputs({ sides, topK }: Recipe, { calibration, device }: KnownStatistics): OutputStatistics {
  if (sides === 'input' || (sides === 'auto' && topK !== 'full')) return 'none';
  if (calibration === 'outputs' || calibration === 'both') return 'calibrated';
  return sides === 'auto' && device === 'cuda' ? 'none' : 'gram';
}
