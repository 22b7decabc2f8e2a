/** The workspace folder that tests open: a real model and a file that is none. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder, type TemporaryFolder } from './temporaryFolder';

export const modelName = 'kjv-lm.safetensors';
/** What a download that needs a login leaves behind. */
export const brokenName = 'broken.safetensors';

export async function temporaryWorkspace(repositoryFolder: string): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  // Under a name of its own, which pictures show.
  const path = join(folder.path, 'models');
  await mkdir(path);
  await copyFile(join(repositoryFolder, 'samples', modelName), join(path, modelName));
  await writeFile(join(path, brokenName), '<!DOCTYPE html><html><body>Please log in to download this model.</body></html>\n');
  return { path, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}
