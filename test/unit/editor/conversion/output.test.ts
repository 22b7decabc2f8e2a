/** The output that is typed in the panel: what is meant by it, and whether anything can be written there. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outputPlace } from '../../../../src/editor/conversion/outputPlace';
import { outputProblem } from '../../../../src/editor/conversion/outputProblem';
import { outputText, typedOutput } from '../../../../src/editor/conversion/typedOutput';

const DEFAULT = '/models/a_fp8.safetensors';

describe('a typed output', () => {
  it.each([
    ['b.safetensors', '/models/b.safetensors'],
    ['a.txt', '/models/a.txt.safetensors'],
    ['b.SFT', '/models/b.SFT'],
    ['sub/b', '/models/sub/b.safetensors'],
    ['/', '/a_fp8.safetensors'],
    ['sub/', '/models/sub/a_fp8.safetensors'],
    ['..', '/a_fp8.safetensors'],
    ['/other/b.safetensors', '/other/b.safetensors'],
  ])('of one file is a file: %s', (typed, path) => {
    expect(typedOutput(typed, DEFAULT, 'file')).toBe(path);
  });

  it('of a model in shards may be a folder, beside that of the model', () => {
    expect(typedOutput('mine', '/models/toy_fp8', 'shards')).toBe('/models/mine');
    expect(typedOutput('mine/', '/models/toy_fp8', 'folder')).toBe('/models/mine');
    expect(typedOutput('/x/m.safetensors.index.json', '/models/toy_fp8', 'shards')).toBe('/x/m.safetensors.index.json');
  });

  it('is shown so that it means the same when it is typed again', () => {
    for (const typed of ['b.safetensors', 'a.txt', '/', 'sub/b', '/other/a_fp8.safetensors']) {
      const path = typedOutput(typed, DEFAULT, 'file');
      expect(typedOutput(outputText(path, DEFAULT), DEFAULT, 'file')).toBe(path);
    }
    expect(outputText('/models/b.safetensors', DEFAULT)).toBe('b.safetensors');
    expect(outputText('/other/b.safetensors', DEFAULT)).toBe('/other/b.safetensors');
  });
});

describe('the place of an output', () => {
  let folder = '';
  const at = (...names: readonly string[]): string => join(folder, ...names);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fp8-output-'));
    await writeFile(at('source.safetensors'), 'source');
    await writeFile(at('other.safetensors'), 'other');
    await mkdir(at('full'));
    await writeFile(at('full', 'a'), '');
    await mkdir(at('empty'));
    await symlink(at('source.safetensors'), at('link.safetensors'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const placeOf = (...names: readonly string[]) => outputPlace(at(...names), [at('source.safetensors')]);

  it('is free, taken, or one where nothing can be written', async () => {
    expect(await placeOf('new.safetensors')).toBe('free');
    expect(await placeOf('other.safetensors')).toBe('file');
    expect(await placeOf('full')).toBe('folder');
    expect(await placeOf('empty')).toBe('free');
    expect(await placeOf('source.safetensors')).toBe('source');
    expect(await placeOf('empty', '..', 'source.safetensors')).toBe('source');
    expect(await placeOf('link.safetensors')).toBe('source');
    expect(await placeOf('gone', 'a.safetensors')).toBe('noFolder');
    expect(await placeOf('other.safetensors', 'a.safetensors')).toBe('impossible');
    expect(await placeOf('other.safetensors', 'below', 'a.safetensors')).toBe('impossible');
    expect(await placeOf(`${'n'.repeat(300)}.safetensors`)).toBe('impossible');
  });

  it('is refused where nothing can be written, with ways out; a file that is there is a question for later', () => {
    expect(outputProblem('/m/a', 'free')).toBeUndefined();
    expect(outputProblem('/m/a', 'file')).toBeUndefined();
    expect(outputProblem('/m/a', 'folder')).toBeUndefined();
    expect(outputProblem('/m/a.safetensors', 'source')).toEqual({
      text: 'This is the source itself, a.safetensors, and no source is ever written to.',
      remedies: [{ kind: 'defaultName' }, { kind: 'browseOutput' }],
    });
    expect(outputProblem('/m/gone/a.safetensors', 'noFolder')).toEqual({
      text: 'The output cannot be written: there is no folder /m/gone.',
      remedies: [{ kind: 'createFolder' }, { kind: 'defaultName' }, { kind: 'browseOutput' }],
    });
    expect(outputProblem('/m/f/a', 'impossible')?.remedies).toEqual([{ kind: 'defaultName' }, { kind: 'browseOutput' }]);
  });
});
