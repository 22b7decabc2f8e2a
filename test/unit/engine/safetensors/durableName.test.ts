/** A finished file gets its name only where nobody has it, with hard links and without. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { renameOntoClaim, renameUnlessTaken } from '../../../../src/engine/safetensors/durableName';
import { temporaryFolder } from '../../../support/temporaryFolder';

let folder = '';
let finished = '';
let place = '';

beforeEach(async () => {
  const temporary = await temporaryFolder();
  onTestFinished(() => temporary[Symbol.asyncDispose]());
  folder = temporary.path;
  finished = join(folder, 'finished');
  place = join(folder, 'place');
  await writeFile(finished, 'content');
});

describe.each([
  ['with hard links', renameUnlessTaken],
  ['without hard links', renameOntoClaim],
])('%s', (_how, rename) => {
  it('the file has its new name and no other', async () => {
    await rename(finished, place);
    expect(await readdir(folder)).toEqual(['place']);
    expect(await readFile(place, 'utf8')).toBe('content');
  });

  it('a name that is taken stays with its file', async () => {
    await writeFile(place, 'precious');
    await expect(rename(finished, place)).rejects.toMatchObject({ code: 'OutputExists', details: { path: place } });
    expect(await readFile(place, 'utf8')).toBe('precious');
    expect((await readdir(folder)).sort()).toEqual(['finished', 'place']);
  });

  it('of two files that want a name one gets it', async () => {
    const other = join(folder, 'other');
    await writeFile(other, 'other');
    const results = await Promise.allSettled([rename(finished, place), rename(other, place)]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await readFile(place, 'utf8')).toBe(results[0].status === 'fulfilled' ? 'content' : 'other');
  });

  it('a file that is gone leaves no claim behind', async () => {
    await expect(rename(join(folder, 'gone'), place)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readdir(folder)).toEqual(['finished']);
  });
});
