/** fileIdentity: device, inode, size and time of change of a file, which differ once something else is written there. */
import { stat } from 'node:fs/promises';

export async function fileIdentity(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs].join(':');
  } catch {
    // Reading the file says better what is wrong with it.
    return 'missing';
  }
}
