/** The page cache: a file that is in memory already is read many times faster than one that is not. */
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';

export type CacheState = 'cold' | 'warm';

/** `cold` needs root on Linux; throws where it cannot be had. */
export async function prepareCache(state: CacheState, file: string): Promise<void> {
  switch (state) {
    case 'cold':
      writeFileSync('/proc/sys/vm/drop_caches', '3');
      return;
    case 'warm': {
      const buffer = new Uint8Array(8 << 20);
      const handle = await open(file, 'r');
      while ((await handle.read(buffer, 0, buffer.length, null)).bytesRead > 0);
      await handle.close();
    }
  }
}

export function canDropCaches(): boolean {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
    return true;
  } catch {
    return false;
  }
}
