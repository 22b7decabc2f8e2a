/** What the disk alone takes: reading a file once, and writing half of it back durably. */
import { open, rm } from 'node:fs/promises';

const CHUNK_BYTES = 8 << 20;

export interface DiskFloor {
  readonly seconds: number;
  readonly readSeconds: number;
  readonly writeSeconds: number;
  readonly syncSeconds: number;
}

/** Reads chunk by chunk and writes the first half of each; then fsync. The copy is removed. */
export async function measureDiskFloor(source: string, copy: string): Promise<DiskFloor> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const input = await open(source, 'r');
  const output = await open(copy, 'w');
  let readSeconds = 0;
  let writeSeconds = 0;
  const startedAt = performance.now();
  let syncedFrom = 0;
  try {
    for (;;) {
      const before = performance.now();
      const { bytesRead } = await input.read(buffer, 0, CHUNK_BYTES, null);
      const between = performance.now();
      readSeconds += (between - before) / 1000;
      if (bytesRead === 0) break;
      await output.write(buffer, 0, bytesRead >> 1, null);
      writeSeconds += (performance.now() - between) / 1000;
    }
    syncedFrom = performance.now();
    await output.sync();
  } finally {
    await input.close();
    await output.close();
  }
  const endedAt = performance.now();
  await rm(copy);
  return { seconds: (endedAt - startedAt) / 1000, readSeconds, writeSeconds, syncSeconds: (endedAt - syncedFrom) / 1000 };
}
