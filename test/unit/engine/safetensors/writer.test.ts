/** An output appears complete or not at all, and never over a source or unasked over another file. Every test looks at what is on the disk. */
import { link, mkdir, readdir, readFile, rename, stat, symlink, writeFile, open, chmod } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { OutputFile, type OutputFileOptions } from '../../../../src/engine/safetensors/writer';
import { temporaryPathFor } from '../../../../src/engine/safetensors/temporaryPath';
import { temporaryFolder } from '../../../support/temporaryFolder';

const HEADER = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const SOURCE_BYTES = 'the source';
const isRoot = process.getuid?.() === 0;

let folder = '';
let source = '';

beforeEach(async () => {
  const temporary = await temporaryFolder();
  onTestFinished(() => temporary[Symbol.asyncDispose]());
  folder = temporary.path;
  source = join(folder, 'source.safetensors');
  await writeFile(source, SOURCE_BYTES);
});

function create(options: Partial<OutputFileOptions> = {}): Promise<OutputFile> {
  const path = join(folder, 'out.safetensors');
  return OutputFile.create({ path, fileSize: 16, headerBytes: HEADER, sourcePaths: [source], overwrite: 'refuse', ...options });
}

async function names(): Promise<readonly string[]> {
  return (await readdir(folder)).sort();
}

/** As the engine's worker does: by path, through a handle of its own. */
async function writeElsewhere(path: string, bytes: Uint8Array, position: number): Promise<void> {
  const handle = await open(path, 'r+');
  await handle.write(bytes, 0, bytes.length, position);
  await handle.close();
}

async function expectRefusal(refused: Promise<unknown>, code: string): Promise<void> {
  await expect(refused).rejects.toMatchObject({ name: 'EngineError', code });
  expect(await readFile(source, 'utf8')).toBe(SOURCE_BYTES);
  expect((await names()).filter((name) => name.includes('fp8-partial'))).toEqual([]);
}

describe('an output', () => {
  it('has its size and header at once, under a name beside its place, and its own name only when it is committed', async () => {
    const output = await create();
    expect(await names()).toEqual([expect.stringMatching(/^\.out\.safetensors\.[0-9a-f]{12}\.fp8-partial$/), 'source.safetensors']);
    expect([...(await readFile(output.temporaryPath))]).toEqual([...HEADER, 0, 0, 0, 0, 0, 0, 0, 0]);
    await writeElsewhere(output.temporaryPath, Uint8Array.of(9), 15);
    await output.write(Uint8Array.of(8), 14);
    await output.commit();
    expect(await names()).toEqual(['out.safetensors', 'source.safetensors']);
    expect([...(await readFile(output.path))]).toEqual([...HEADER, 0, 0, 0, 0, 0, 0, 8, 9]);
  });

  it('leaves nothing when it is discarded, however often and whenever', async () => {
    const output = await create();
    await output.discard();
    await output.discard();
    expect(await names()).toEqual(['source.safetensors']);
    await expect(output.commit()).rejects.toMatchObject({ code: 'Internal' });
    const other = await create();
    await other.commit();
    await other.discard();
    expect(await names()).toEqual(['out.safetensors', 'source.safetensors']);
  });

  it('may be read by whom the umask allows', async ({ skip }) => {
    skip(process.platform === 'win32', 'Windows has no umask');
    const output = await create();
    await output.commit();
    const plain = join(folder, 'plain');
    await writeFile(plain, '');
    expect((await stat(output.path)).mode).toBe((await stat(plain)).mode);
  });

  it('takes a name of any length that the file system takes', async () => {
    const path = join(folder, `${'é'.repeat(121)}.safetensors`);
    const output = await create({ path });
    await output.commit();
    expect((await stat(path)).size).toBe(16);
    await expectRefusal(create({ path: join(folder, `${'n'.repeat(300)}.safetensors`) }), 'Io');
  });

  it('takes a token by which its temporary file is found again', async () => {
    const output = await create({ token: 'abc' });
    expect(output.temporaryPath).toBe(temporaryPathFor(output.path, 'abc'));
    await expectRefusal(
      create({ token: 'abc' }).finally(() => output.discard()),
      'OutputExists',
    );
  });
});

describe('an output that is the source', () => {
  it.each([
    ['by the same path', async () => source],
    ['by a relative path', async () => relative(process.cwd(), source)],
    ['by a path with detours', async () => `${folder}/./x/../source.safetensors`],
    ['through a symbolic link', async () => linked('soft.safetensors', (path) => symlink(source, path))],
    [
      'through a chain of symbolic links',
      async () => linked('second', async (path) => symlink(await linked('first', (first) => symlink(source, first)), path)),
    ],
    ['through a hard link', async () => linked('hard.safetensors', (path) => link(source, path))],
    ['through a linked folder', async () => join(await linked('folder', (path) => symlink(folder, path)), 'source.safetensors')],
  ])('%s is refused, even where files may be replaced', async (_how, pathOf) => {
    const path = await pathOf();
    await expectRefusal(create({ path, overwrite: 'replace' }), 'OutputIsInput');
    await expectRefusal(create({ path, overwrite: 'refuse' }), 'OutputIsInput');
  });

  it('is refused where the source was opened through the link', async () => {
    const soft = await linked('soft.safetensors', (path) => symlink(source, path));
    await expectRefusal(create({ path: source, sourcePaths: [join(folder, 'other'), soft], overwrite: 'replace' }), 'OutputIsInput');
  });

  it('is refused where it became the source while it was written', async () => {
    const output = await create({ overwrite: 'replace' });
    await link(source, output.path);
    await expectRefusal(output.commit(), 'OutputIsInput');
  });

  // A case-insensitive file system finds the source under the other spelling; elsewhere it is another file.
  it('is refused in another spelling where the file system ignores case', async () => {
    const path = join(folder, 'SOURCE.safetensors');
    const ignoresCase = await stat(path).then(
      () => true,
      () => false,
    );
    if (ignoresCase) return expectRefusal(create({ path, overwrite: 'replace' }), 'OutputIsInput');
    await (await create({ path, overwrite: 'replace' })).commit();
    expect(await readFile(source, 'utf8')).toBe(SOURCE_BYTES);
  });
});

describe('an output that exists', () => {
  it('is refused, and replaced only on request', async () => {
    const path = join(folder, 'out.safetensors');
    await writeFile(path, 'precious');
    await expectRefusal(create(), 'OutputExists');
    expect(await readFile(path, 'utf8')).toBe('precious');
    const output = await create({ overwrite: 'replace' });
    expect(await readFile(path, 'utf8')).toBe('precious');
    await output.commit();
    expect((await stat(path)).size).toBe(16);
  });

  it('is refused where it came to be while the output was written', async () => {
    const output = await create();
    await writeFile(output.path, 'precious');
    await expectRefusal(output.commit(), 'OutputExists');
    expect(await readFile(output.path, 'utf8')).toBe('precious');
  });

  it('goes to exactly one of two that want it', async () => {
    const outputs = await Promise.all([create(), create()]);
    const results = await Promise.allSettled(outputs.map((output) => output.commit()));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await names()).toEqual(['out.safetensors', 'source.safetensors']);
  });

  it('as a link that leads nowhere is taken, and as a link to another file is replaced itself', async () => {
    const target = join(folder, 'target');
    await symlink(target, join(folder, 'out.safetensors'));
    await expectRefusal(create(), 'OutputExists');
    await writeFile(target, 'precious');
    await (await create({ overwrite: 'replace' })).commit();
    expect(await readFile(target, 'utf8')).toBe('precious');
    expect((await stat(join(folder, 'out.safetensors'))).size).toBe(16);
  });
});

describe('a place that cannot take an output', () => {
  it('a missing folder, a file for a folder, a folder for a file, a device', async () => {
    await expectRefusal(create({ path: join(folder, 'missing', 'out.safetensors') }), 'FileNotFound');
    await expectRefusal(create({ path: join(source, 'out.safetensors') }), 'NotAFile');
    await mkdir(join(folder, 'folder'));
    await expectRefusal(create({ path: join(folder, 'folder'), overwrite: 'replace' }), 'NotAFile');
    if (process.platform !== 'win32') await expectRefusal(create({ path: '/dev/null', overwrite: 'replace' }), 'NotAFile');
  });

  it('a read-only folder, with the remedy', async ({ skip }) => {
    skip(isRoot, 'root may write everywhere');
    const locked = join(folder, 'locked');
    await mkdir(locked, { mode: 0o555 });
    await expectRefusal(create({ path: join(locked, 'out.safetensors') }), 'PermissionDenied');
    await chmod(locked, 0o755);
  });

  it('a file system that nobody may write to, with the remedy', async ({ skip }) => {
    skip(process.platform !== 'linux', 'only Linux has /sys');
    const refused = create({ path: '/sys/out.safetensors' });
    await expectRefusal(refused, 'PermissionDenied');
    await expect(refused).rejects.toThrow(
      /the folder \/sys is read-only for you\. Change its permissions, or choose another output path\./,
    );
  });

  it('a disk without the space, before anything is written', async () => {
    const refused = create({ fileSize: 2 ** 52 });
    await expectRefusal(refused, 'DiskFull');
    await expect(refused).rejects.toThrow(/needs 4\.50 PB, and .* has .* left\. Free some space/);
  });

  it('a folder that went away while the output was written', async () => {
    const place = join(folder, 'place');
    await mkdir(place);
    const output = await create({ path: join(place, 'out.safetensors') });
    await rename(place, join(folder, 'elsewhere'));
    await expect(output.commit()).rejects.toMatchObject({ code: 'FileNotFound' });
  });
});

describe('a temporary file that is not what it should be', () => {
  it('is not committed where its size changed', async () => {
    const output = await create();
    await writeElsewhere(output.temporaryPath, Uint8Array.of(1), 16);
    await expectRefusal(output.commit(), 'Io');
    expect(await names()).toEqual(['source.safetensors']);
  });

  it('is not committed where somebody deleted it or put another in its place', async ({ skip }) => {
    skip(process.platform === 'win32', 'Windows renames no file that is open');
    const output = await create();
    await rename(source, output.temporaryPath);
    await writeFile(source, SOURCE_BYTES);
    await expectRefusal(output.commit(), 'Io');
    expect(await names()).toEqual(['source.safetensors']);
  });
});

async function linked(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(folder, name);
  await make(path);
  return path;
}
