/** Recipe files: what is written is read again, and whatever is wrong is named with file, key and remedy. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';
import { parseRecipeFile, recipeFileText } from '../../../../src/engine/plan/recipeFile';

describe('a recipe file', () => {
  it('gives back the recipe that was written', () => {
    const recipe = defaultRecipe({ rounding: 'tpec', topK: 4, presets: [], overrides: [{ match: '*.mlp.*', action: 'keep' }] });
    expect(parseRecipeFile(recipeFileText(recipe), 'a.json')).toEqual(recipe);
  });

  it('may leave out whatever it likes', () => {
    expect(parseRecipeFile('{ "$schema": "x", "numIter": 7 }', 'a.json')).toEqual({ numIter: 7 });
  });

  it.each([
    ['{', /^a\.json: it is not JSON: it ends too early\.$/],
    ['{\n "rounding": nearest\n}', /^a\.json: it is not JSON from line 2 on \("rounding": nearest\)\. Comments and/],
    ['{\n "seed": 1,\n // why\n "numIter": 3\n}', /^a\.json: it is not JSON from line 3 on \(\/\/ why\)\./],
    ['seed: 1', /^a\.json: it is not JSON from line 1 on \(seed: 1\)\./],
    ['PK\u0003\u0004{', /^a\.json: it is not text, and a recipe is JSON\. Check the path\.$/],
    ['[]', /^a\.json: the recipe must be an object in braces; it is \[\]\.$/],
    ['{"num_iter": 5}', /has the key "num_iter", which no recipe has \(did you mean "numIter"\?\); the keys are/],
    ['{"iterations": 5}', /^a\.json: the recipe has the key "iterations", which no recipe has; the keys are presets, /],
    ['{"rounding": "best"}', /^a\.json: "rounding" must be one of "learned", "tpec", "nearest"; it is "best"\.$/],
    ['{"numIter": 0}', /^a\.json: "numIter" must be a whole number, 1 to 1000000; it is 0\.$/],
    ['{"topK": "all"}', /^a\.json: "topK" must be "full" or a whole number, 1 to 1000000; it is "all"\.$/],
    ['{"presets": ["flux"]}', /^a\.json: "presets\[0\]" must be one of "auto", /],
    ['{"presets": ["auto", "auto"]}', /^a\.json: "presets" names "auto" twice/],
    ['{"overrides": [{"match": "a"}]}', /^a\.json: "overrides\[0\]\.action" must be one of .*; it is missing\.$/],
    ['{"overrides": [{"match": "/(/", "action": "keep"}]}', /^a\.json: "overrides\[0\]\.match" cannot be used: The pattern/],
    ['{"overrides": [{"match": "a", "action": "keep", "why": 1}]}', /"overrides\[0\]" has the key "why"/],
    [
      '{"target": "mxfp8", "granularity": "block", "blockSize": [128, 128]}',
      /^a\.json: "blockSize" is not for mxfp8: mxfp8 has one scale for each block of 1 × 32 by definition\. Leave the granularity at auto\.$/,
    ],
    ['{"__proto__": 1}', /has the key "__proto__"/],
  ])('is refused where it is wrong: %s', (text, message) => {
    expect(() => parseRecipeFile(text, 'a.json')).toThrow(message);
  });

  it('may name the blocks that a target has anyway, or others where it asks for none', () => {
    expect(parseRecipeFile('{"target": "nvfp4", "granularity": "block", "blockSize": [1, 16]}', '')).toMatchObject({ blockSize: [1, 16] });
    expect(parseRecipeFile(recipeFileText(defaultRecipe({ target: 'nvfp4' })), '')).toMatchObject({ granularity: 'auto' });
  });

  it('has a schema of exactly the keys that are read', () => {
    const schema = JSON.parse(readFileSync(resolve('schemas/fp8recipe.schema.json'), 'utf8')) as { readonly properties: object };
    expect(Object.keys(schema.properties).sort()).toEqual(['$schema', ...Object.keys(defaultRecipe())].sort());
  });
});
