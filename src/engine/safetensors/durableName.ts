/** Gives a finished file its name: never over a file that somebody else made meanwhile, and so that it survives a power cut. */
import { link, open, rename, unlink } from 'node:fs/promises';
import { errnoOf, outputExists } from './outputErrors';

/** A hard link fails where the name is taken, however late somebody took it; a rename would overwrite. */
export async function renameUnlessTaken(temporaryPath: string, path: string): Promise<void> {
  try {
    await link(temporaryPath, path);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw outputExists(path);
    if (!NO_HARD_LINKS.has(errnoOf(error))) throw error;
    return renameOntoClaim(temporaryPath, path);
  }
  await unlink(temporaryPath);
}

/** FAT, some network drives and some containers have no hard links. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EINVAL', 'UNKNOWN']);

/** Without hard links: takes the name with an empty file of ours, which only then is replaced. */
export async function renameOntoClaim(temporaryPath: string, path: string): Promise<void> {
  const claim = await open(path, 'wx').catch((error: unknown) => {
    throw errnoOf(error) === 'EEXIST' ? outputExists(path) : error;
  });
  await claim.close();
  try {
    await rename(temporaryPath, path);
  } catch (error) {
    await unlink(path);
    throw error;
  }
}

/** Makes the new name durable. Windows and some network drives cannot; the file itself is safe by then. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined);
  try {
    await handle?.sync();
  } catch {
    // See above.
  } finally {
    await handle?.close();
  }
}
