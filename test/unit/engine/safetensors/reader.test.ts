/** Opening files: what is read, how much of it, and what is said where there is nothing to read. */
import { execFileSync } from 'node:child_process';
import { open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { EngineError } from '../../../../src/engine/errors';
import { layOut } from '../../../../src/engine/safetensors/layout';
import { openSafetensors, readHeader } from '../../../../src/engine/safetensors/reader';
import { temporaryFolder } from '../../../support/temporaryFolder';

async function failure(path: string): Promise<EngineError> {
  const thrown: unknown = await readHeader(path).catch((error: unknown) => error);
  if (thrown instanceof EngineError) return thrown;
  throw new Error(`${path} gave ${String(thrown)}`);
}

async function newFolder(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  return folder.path;
}

describe('reading a header', () => {
  it('reads one that is longer than the first read', async () => {
    const path = join(await newFolder(), 'long.safetensors');
    const tensors = Array.from({ length: 3000 }, (_, index) => ({
      name: `block.${index}.weight`,
      dtype: 'U8' as const,
      shape: [1],
      byteLength: 1,
    }));
    const { headerBytes, fileSize } = layOut(tensors, new Map());
    expect(headerBytes.length).toBeGreaterThan(200_000);
    await writeFile(path, headerBytes);
    await truncate(path, fileSize);
    expect((await readHeader(path)).tensors.length).toBe(3000);
  });

  it('costs nothing for the data behind it', async () => {
    const path = join(await newFolder(), 'huge.safetensors');
    const byteLength = 4 * 2 ** 40;
    const { headerBytes, fileSize } = layOut([{ name: 'x.weight', dtype: 'F32', shape: [2 ** 20, 2 ** 20], byteLength }], new Map());
    await writeFile(path, headerBytes);
    await truncate(path, fileSize);
    const { tensors } = await readHeader(path);
    expect(tensors[0]).toMatchObject({ begin: headerBytes.length, end: fileSize });
  });

  it('says which file is missing, a folder, a pipe or empty', async () => {
    const folder = await newFolder();
    const missing = join(folder, 'missing.safetensors');
    expect(await failure(missing)).toMatchObject({ code: 'FileNotFound', details: { path: missing } });
    expect(await failure(folder)).toMatchObject({ code: 'NotAFile', details: { path: folder } });
    expect(await failure(join(folder, 'a\0b'))).toBeInstanceOf(EngineError);
    const empty = join(folder, 'empty.safetensors');
    await writeFile(empty, '');
    expect(await failure(empty)).toMatchObject({ code: 'InvalidSafetensors', details: { path: empty, rule: 'HeaderTooSmall' } });
    expect((await failure(missing)).message).toBe(`${missing}: there is no such file. Check the path.`);
  });

  it('does not wait for the other end of a pipe', async ({ skip }) => {
    skip(process.platform === 'win32', 'Windows has no such pipes');
    const pipe = join(await newFolder(), 'pipe.safetensors');
    execFileSync('mkfifo', [pipe]);
    expect((await failure(pipe)).code).toBe('NotAFile');
  });
});

describe('an open file', () => {
  it('gives ranges until it is closed, and notices that it became shorter', async () => {
    const path = join(await newFolder(), 'x.safetensors');
    const { headerBytes, fileSize } = layOut([{ name: 'x', dtype: 'U8', shape: [4], byteLength: 4 }], new Map());
    await writeFile(path, headerBytes);
    const writer = await open(path, 'r+');
    await writer.write(Uint8Array.of(1, 2, 3, 4), 0, 4, headerBytes.length);
    await writer.close();
    const file = await openSafetensors(path);
    const { begin, end } = file.header.tensors[0]!;
    expect([...(await file.readRange(begin + 1, end))]).toEqual([2, 3, 4]);
    await truncate(path, fileSize - 2);
    await expect(file.readRange(begin, end)).rejects.toMatchObject({ code: 'FileChanged', details: { path } });
    await file.close();
  });
});
