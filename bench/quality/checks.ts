/** The promises that the benchmark holds the converter to. */
import { compareWithReferenceCast } from '../model/castCheck';
import { forward, loadLlama } from '../model/llama';
import { readTensorFile } from '../model/tensorFile';
import { largestDifference, readReferenceLogits, SAMPLE_MODEL, type TextRow } from './evaluationText';
import { objectiveRatios, type Measurement } from './measure';
import { ratioOfMeans } from './statistics';

export interface Check {
  readonly promise: string;
  readonly found: string;
  readonly kept: boolean;
}

const LARGEST_LOGIT_DIFFERENCE = 1e-3;

/** The measuring device first: our forward pass is the model's. */
export async function checkForwardPass(rows: readonly TextRow[]): Promise<Check> {
  const model = loadLlama(await readTensorFile(SAMPLE_MODEL));
  const reference = await readReferenceLogits();
  const differences = reference.rows
    .slice(0, rows.length)
    .map((expected, index) => largestDifference(forward(model, rows[index]!.tokens), expected, reference.stride));
  const largest = Math.max(...differences);
  return {
    promise: `the forward pass gives PyTorch's logits within ${LARGEST_LOGIT_DIFFERENCE}`,
    found: `largest difference ${largest.toExponential(1)}`,
    kept: largest < LARGEST_LOGIT_DIFFERENCE,
  };
}

export async function checkNearest(nearest: Measurement): Promise<Check> {
  const tensors = compareWithReferenceCast(await readTensorFile(SAMPLE_MODEL), await readTensorFile(nearest.outputPath));
  const wrong = tensors.filter(({ different, scale, expectedScale }) => different > 0 || scale !== expectedScale);
  const codes = tensors.reduce((sum, { elements }) => sum + elements, 0);
  return {
    promise: 'nearest is the reference cast bit for bit, and every scale the expected one',
    found: `${tensors.length} tensors, ${codes.toLocaleString('en-US')} codes, ${wrong.length} tensors differ${namesOf(wrong.map((entry) => entry.tensor))}`,
    kept: tensors.length > 0 && wrong.length === 0,
  };
}

export function checkRatio(learned: Measurement, nearest: Measurement, largest: number): Check {
  const ratio = ratioOfMeans(learned.klPerRow, nearest.klPerRow).value;
  return {
    promise: `KL of ${learned.variant.name} ≤ ${largest} × KL of nearest`,
    found: `${ratio.toFixed(3)} ×`,
    kept: ratio <= largest,
  };
}

export function checkObjectives(measurement: Measurement): Check {
  const ratios = objectiveRatios(measurement.report);
  const worse = ratios.filter(({ ratio }) => !(ratio <= 1));
  const worst = Math.max(...ratios.map(({ ratio }) => ratio));
  return {
    promise: `${measurement.variant.name}: objective ≤ objectiveNearest for every tensor`,
    found: `${ratios.length} tensors, worst ${worst.toFixed(3)} ×${namesOf(worse.map(({ tensor }) => tensor.name))}`,
    kept: ratios.length > 0 && worse.length === 0,
  };
}

function namesOf(tensors: readonly string[]): string {
  return tensors.length === 0 ? '' : `: ${tensors.slice(0, 5).join(', ')}${tensors.length > 5 ? ', …' : ''}`;
}
