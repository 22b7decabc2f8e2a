/** What is said of a recognised model and of an unknown one. */
import { expect, it } from 'vitest';
import { modelSeen, modelSeenText } from '../../../../src/engine/families/modelSeen';
import { recognise } from '../../../../src/engine/families/recognise';
import { KNOWN_FIXTURES, UNKNOWN_FIXTURES } from '../../../fixtures/families/all';
import { headerOf } from '../../../fixtures/families/template';

it('names the family, whose names it bears, where it begins and what it was seen by', () => {
  const checkpoint = KNOWN_FIXTURES.find(({ family, templates }) => family === 'sdxl' && templates.length > 1);
  if (checkpoint === undefined) throw new Error('no fixture of an SDXL checkpoint');
  const seen = modelSeen(recognise(headerOf(checkpoint.templates)));
  expect(seen).toMatchObject({ family: 'sdxl', naming: 'original', prefix: 'model.diffusion_model.' });
  expect(modelSeenText(seen, 'first reason')).toMatch(
    /^Stable Diffusion XL with .+, original names, under model\.diffusion_model\. \(seen: `[^`]+` is \[[\d, ]*\]\)$/,
  );
  for (const sentence of seen.evidence) expect(modelSeenText(seen, 'every reason')).toContain(sentence.replace(/\.$/, ''));
});

it('says unknown, and why', () => {
  for (const { templates } of UNKNOWN_FIXTURES) {
    const seen = modelSeen(recognise(headerOf(templates)));
    expect(seen.title).toBeUndefined();
    expect(modelSeenText(seen, 'first reason')).toBe(`unknown: ${seen.evidence[0] ?? ''}`);
  }
});
