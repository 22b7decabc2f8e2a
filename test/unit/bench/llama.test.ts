import { describe, expect, it } from 'vitest';
import { forward, loadLlama } from '../../../bench/model/llama';
import { readTensorFile } from '../../../bench/model/tensorFile';
import { largestDifference, readEvaluationText, readReferenceLogits, SAMPLE_MODEL } from '../../../bench/quality/evaluationText';

describe('forward', () => {
  it("gives PyTorch's logits for the sample model", async () => {
    const model = loadLlama(await readTensorFile(SAMPLE_MODEL));
    const reference = await readReferenceLogits();
    const [first] = await readEvaluationText();
    expect(largestDifference(forward(model, first!.tokens), reference.rows[0]!, reference.stride)).toBeLessThan(1e-3);
  });
});
