// The command line as users type it: the real program, engine and addon, its output, its exit codes and what is left on disk.
import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../src/engine/job/jobEvent';
import { readHeader } from '../../../src/engine/safetensors/reader';
import { TOY_MODEL, writeModel } from '../../support/modelFile';
import { bundleProgram, eventually, fp8, type Program } from '../../support/program';
import { temporaryFolder, type TemporaryFolder } from '../../support/temporaryFolder';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

let shared: TemporaryFolder;
let program: Program;
let slowModel: string;
let folder: TemporaryFolder;
let model: string;

beforeAll(async () => {
  shared = await temporaryFolder();
  program = await bundleProgram(shared.path);
  slowModel = join(shared.path, 'slow.safetensors');
  await writeModel(
    slowModel,
    Array.from({ length: 12 }, (_, i) => ({ name: `slow.${i}.weight`, dtype: 'BF16', shape: [1024, 1024] })),
  );
});

afterAll(async () => {
  await shared[Symbol.asyncDispose]();
});

beforeEach(async () => {
  folder = await temporaryFolder();
  model = join(folder.path, 'model.safetensors');
  await writeModel(model, TOY_MODEL, { title: 'toy\u001b[31m' });
  return () => folder[Symbol.asyncDispose]();
});

async function files(): Promise<readonly string[]> {
  return (await readdir(folder.path)).sort();
}

function jobEvents(stdout: string): readonly JobEvent[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JobEvent);
}

function terminals(events: readonly JobEvent[]): readonly JobEvent[] {
  return events.filter(({ type }) => type === 'done' || type === 'failed' || type === 'cancelled');
}

describe('fp8 convert', () => {
  it('shows the plan and the report, and names the output itself', async () => {
    const { code, stdout, stderr } = await fp8(program, ['convert', '--input', model, '--device', 'cpu']);
    expect([code, stderr]).toEqual([0, '']);
    expect(await files()).toEqual(['model.safetensors', 'model_fp8_e4m3fn_scaled.safetensors']);
    expect(stdout).toMatch(/^Plan for .*model\.safetensors\n/);
    expect(stdout).toMatch(/quantize +6 .* Linear weight\n/);
    expect(stdout).toMatch(/keep +2 .* Norm: /);
    expect(stdout).toMatch(/Done in .*model_fp8_e4m3fn_scaled\.safetensors/);
    expect(stdout).toMatch(/error +\d\.\d\d % of the weights' norm, over 6 quantized tensors/);
    expect(stdout).toMatch(/learned +objective 0\.\d{3} × that of nearest rounding/);
    expect(stdout).toMatch(/note: 2 biases stay as they are/);
    expect(stdout).not.toContain('\u001b');
  });

  it('adds _nodistill, takes the flags of the script it replaces, and a file that stands alone', async () => {
    const flags = ['--keep_distillation', '--calib_samples', '512', '--num-iter=7', '--device=cpu'];
    expect((await fp8(program, [model, ...flags].slice(1).concat('--input', model))).code).toBe(0);
    expect((await fp8(program, ['convert', model, ...flags, '--force'])).code).toBe(0);
    expect(await files()).toEqual(['model.safetensors', 'model_fp8_e4m3fn_scaled_nodistill.safetensors']);
  });

  it('does not overwrite without --force', async () => {
    const words = ['convert', model, '--rounding', 'nearest', '--device', 'cpu'];
    expect((await fp8(program, words)).code).toBe(0);
    const again = await fp8(program, words);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^fp8: error: .*model_fp8_e4m3fn_scaled\.safetensors exists already\. .*overwrite it with --force\.\n$/);
    expect((await fp8(program, [...words, '--force'])).code).toBe(0);
  });

  it('with --dry-run shows the plan and writes nothing', async () => {
    const { code, stdout } = await fp8(program, ['convert', model, '--dry-run', '-v']);
    expect(code).toBe(0);
    for (const { name } of TOY_MODEL) expect(stdout).toContain(name);
    expect(await files()).toEqual(['model.safetensors']);
    const planned = jobEvents((await fp8(program, ['convert', model, '--dry-run', '--json'])).stdout);
    expect(planned[0]).toMatchObject({ type: 'planned', counts: { quantize: 6, keep: 7, remove: 0 } });
  });

  it('with --json prints one event a line, of which exactly one ends the job, and writes the report', async () => {
    const report = join(folder.path, 'report.json');
    const { code, stdout, stderr } = await fp8(program, ['convert', model, '--json', '--report', report, '--device', 'cpu']);
    expect([code, stderr]).toEqual([0, '']);
    const events = jobEvents(stdout);
    expect(events[0]?.type).toBe('planned');
    const end = events.at(-1);
    expect(terminals(events)).toEqual([end]);
    expect(end?.type === 'done' ? end.report : undefined).toEqual(JSON.parse(await readFile(report, 'utf8')));
  });

  it('with --json ends a failure in one failed event as well', async () => {
    const missing = join(folder.path, 'missing.safetensors');
    const { code, stdout, stderr } = await fp8(program, ['convert', missing, '--json']);
    expect(code).toBe(1);
    expect(jobEvents(stdout)).toMatchObject([{ type: 'failed', error: { code: 'FileNotFound' } }]);
    expect(stderr).toBe(`fp8: error: ${missing}: there is no such file. Check the path.\n`);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('is cancelled by %s: exit code 130, and nothing is left', async (signal) => {
    const output = join(folder.path, 'slow.safetensors');
    const { code, stdout, stderr } = await fp8(program, ['convert', slowModel, '--output', output, '--json', '--device', 'cpu'], {
      meanwhile: (child, text) => {
        void eventually('tensors are worked on', () => text().includes('tensorStarted')).then(() => child.kill(signal));
      },
    });
    expect(code).toBe(130);
    expect(stderr).toBe('fp8: cancelled; nothing was written.\n');
    expect(terminals(jobEvents(stdout))).toEqual([{ type: 'cancelled' }]);
    expect(await files()).toEqual(['model.safetensors']);
  });

  it('that is killed outright leaves an engine that cleans up and ends', async () => {
    const output = join(folder.path, 'slow.safetensors');
    const { code } = await fp8(program, ['convert', slowModel, '--output', output, '--json', '--device', 'cpu'], {
      meanwhile: (child, text) => {
        void eventually('tensors are worked on', () => text().includes('tensorStarted')).then(() => child.kill('SIGKILL'));
      },
    });
    expect(code).toBeNull();
    await eventually('the temporary file is removed', async () => (await files()).length === 1, 5000);
    await eventually('the engine ends', () => !runs(program.engineModule), 5000);
  });

  it('goes on when its reader goes away', async () => {
    const output = join(folder.path, 'out.safetensors');
    const child = spawn(process.execPath, [program.commandLine, 'convert', model, '-o', output, '--json', '--device', 'cpu'], {
      env: program.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    child.stdout.destroy();
    expect(await new Promise((done) => child.once('close', done))).toBe(0);
    expect(stderr).toBe('');
    expect((await readHeader(output)).tensors.length).toBeGreaterThan(10);
  });

  it('says what a read-only folder needs', async () => {
    await chmod(folder.path, 0o555);
    await chmod(model, 0o644);
    if (isRoot) await Promise.all([chmod(shared.path, 0o755)]);
    const { code, stderr } = await fp8(program, ['convert', model, '--device', 'cpu'], isRoot ? { uid: NOBODY } : {});
    await chmod(folder.path, 0o755);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fp8: error: .*folder .* is read-only for you\. Change its permissions, or choose another output path\.\n$/);
    expect(await files()).toEqual(['model.safetensors']);
  });

  it('says which file may not be read', async () => {
    await chmod(model, 0o000);
    await chmod(folder.path, 0o755);
    const { code, stderr } = await fp8(program, ['convert', model], isRoot ? { uid: NOBODY } : {});
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fp8: error: .*model\.safetensors: you may not read this file\..*\n$/);
  });

  describe('on a full disk', () => {
    let disk: string;
    let mounted = false;

    beforeEach(async () => {
      disk = join(folder.path, 'disk');
      await mkdir(disk);
      mounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]).status === 0;
      return () => (mounted ? spawnSync('umount', ['-l', disk]) : undefined);
    });

    it('says so before computing anything', async (context) => {
      if (!mounted) return context.skip('a small disk can be mounted only by root');
      await writeFile(join(disk, 'filler'), new Uint8Array(6_000_000));
      const { code, stderr } = await fp8(program, ['convert', slowModel, '--output', join(disk, 'out.safetensors'), '--device', 'cpu']);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^fp8: error: .*out\.safetensors needs 12\.\d MB, and .*disk has 10\.\d MB left\. Free some space.*\n$/);
      expect(await readdir(disk)).toEqual(['filler']);
    });

    it('says so when it fills up meanwhile', async (context) => {
      if (!mounted) return context.skip('a small disk can be mounted only by root');
      const { code, stderr, stdout } = await fp8(
        program,
        ['convert', slowModel, '--output', join(disk, 'out.safetensors'), '--json', '--device', 'cpu'],
        {
          meanwhile: (_child, text) => {
            void eventually('the output is begun', () => text().includes('planned')).then(() => fill(join(disk, 'filler')));
          },
        },
      );
      expect(code).toBe(1);
      expect(terminals(jobEvents(stdout))).toMatchObject([{ type: 'failed', error: { code: 'DiskFull' } }]);
      expect(stderr).toMatch(/^fp8: error: .*(full|space).*\n$/i);
      expect(await readdir(disk)).toEqual(['filler']);
    });
  });
});

describe('fp8 inspect', () => {
  it('lists names, dtypes, shapes, sizes and actions, totals and metadata, and lets no name drive the terminal', async () => {
    const { code, stdout } = await fp8(program, ['inspect', model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/layers\.0\.attn\.qkv\.weight +BF16 +288 × 96 +55\.3 kB +quantize +Linear weight\n/);
    expect(stdout).toMatch(/nothing\.weight +BF16 +0 × 96 +0 B +keep +Empty\n/);
    expect(stdout).toMatch(/13 tensors/);
    expect(stdout).toContain('title = toy\\u001b[31m');
    expect(stdout).not.toContain('\u001b');
  });

  it('with --json says the same to programs', async () => {
    const { stdout } = await fp8(program, ['inspect', model, '--json']);
    const inventory = JSON.parse(stdout) as { readonly tensors: readonly Record<string, unknown>[] };
    expect(inventory).toMatchObject({ path: model, metadata: { title: 'toy\u001b[31m' } });
    expect(inventory.tensors).toHaveLength(13);
    expect(inventory.tensors.find(({ name }) => name === 'step')).toMatchObject({ dtype: 'I64', shape: [], bytes: 8, action: 'keep' });
  });

  it('ends quietly when its reader goes away', async () => {
    const large = join(folder.path, 'large.safetensors');
    await writeModel(
      large,
      Array.from({ length: 20_000 }, (_, i) => ({ name: `layers.${i}.weight`, dtype: 'BF16', shape: [1] })),
    );
    const command = `"${process.execPath}" "${program.commandLine}" inspect "${large}" | head -1`;
    const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { env: program.environment, encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {2}tensor/);
  });

  it.each(['bad_gguf', 'bad_hole_start', 'bad_json_nul_padding', 'bad_lfs_pointer', 'bad_7_bytes', 'bad_dtype_unknown'])(
    'refuses %s with one line that names the file',
    async (name) => {
      const path = resolve(`test/fixtures/safetensors-cases/${name}.safetensors`);
      for (const command of ['inspect', 'convert']) {
        const { code, stdout, stderr } = await fp8(program, [command, path]);
        expect([code, stdout]).toEqual([1, '']);
        expect(stderr).toMatch(/^fp8: error: [^\n]{40,}\n$/);
        expect(stderr).toContain(`${name}.safetensors`);
      }
    },
  );
});

describe('fp8 verify', () => {
  let converted: string;

  beforeEach(async () => {
    converted = join(folder.path, 'converted.safetensors');
    await fp8(program, ['convert', model, '-o', converted, '--rounding', 'nearest', '--device', 'cpu']);
  });

  async function patch(tensor: string, bytes: Uint8Array): Promise<void> {
    const { begin } = (await readHeader(converted)).byName.get(tensor) ?? { begin: NaN };
    const file = openSync(converted, 'r+');
    writeSync(file, bytes, 0, bytes.length, begin);
    closeSync(file);
  }

  it('prints the error of each tensor and of all: exit code 0', async () => {
    const { code, stdout, stderr } = await fp8(program, ['verify', converted, '--against', model]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/layers\.0\.attn\.qkv\.weight +quantized +2\.\d\d % /);
    expect(stdout).toMatch(/Good: .*converted\.safetensors against .*model\.safetensors/);
    expect(stdout).toMatch(/6 quantized, 7 kept byte for byte, 0 wrong/);
  });

  it.each([
    ['a kept byte', 'layers.0.norm.weight', [1], 'layers.0.norm.weight: Its bytes differ from the source'],
    ['a scale that is zero', 'layers.0.attn.qkv.weight_scale', [0, 0, 0, 0], 'Its scale layers.0.attn.qkv.weight_scale is 0'],
    ['a scale that is NaN', 'layers.0.attn.qkv.weight_scale', [0, 0, 0xc0, 0x7f], 'weight_scale is NaN'],
    ['a scale of something else', 'layers.0.attn.qkv.weight_scale', [0, 0, 0x80, 0x3f], 'so its codes or its scale are not its own'],
    ['a code that is NaN', 'layers.0.mlp.fc2.weight', [0x7f], 'layers.0.mlp.fc2.weight: 1 of its values are NaN'],
    [
      'a description that loaders do not know',
      'layers.0.mlp.fc1.comfy_quant',
      [0x20],
      'layers.0.mlp.fc1.comfy_quant does not say float8_e4m3fn',
    ],
  ])('finds %s: exit code 1', async (_what, tensor, bytes, finding) => {
    await patch(tensor, Uint8Array.from(bytes));
    const { code, stdout } = await fp8(program, ['verify', converted, '--against', model]);
    expect(code).toBe(1);
    expect(stdout).toContain('wrong: ');
    expect(stdout).toContain(finding);
    expect(stdout).toContain('Not good: ');
    expect(stdout).toContain('1 problem');
  });

  it('warns of a scale that BF16 rounds', async () => {
    const scale = (await readFile(converted))
      .subarray((await readHeader(converted)).byName.get('layers.0.attn.qkv.weight_scale')?.begin)
      .subarray(0, 4);
    await patch('layers.0.attn.qkv.weight_scale', Uint8Array.from([1, scale[1] ?? 0, scale[2] ?? 0, scale[3] ?? 0]));
    const { code, stdout } = await fp8(program, ['verify', converted, '--against', model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/warning: layers\.0\.attn\.qkv\.weight_scale: BF16 does not hold the scale exactly/);
  });

  it('finds missing tensors, other shapes, and strangers', async () => {
    const other = join(folder.path, 'other.safetensors');
    await writeModel(other, [
      ...TOY_MODEL.filter(({ name }) => name !== 'step').map((tensor) =>
        tensor.name === 'embed.weight' ? { ...tensor, shape: [96, 64] } : tensor,
      ),
      { name: 'extra.weight', dtype: 'BF16', shape: [3] },
    ]);
    const { code, stdout } = await fp8(program, ['verify', other, '--against', model, '--json']);
    expect(code).toBe(1);
    const report = JSON.parse(stdout) as {
      readonly tensors: readonly { readonly name: string; readonly problems: readonly string[] }[];
      readonly problems: readonly string[];
    };
    const problems = Object.fromEntries(report.tensors.map((tensor) => [tensor.name, tensor.problems]));
    expect(problems['step']).toEqual(['It is missing in the converted file.']);
    expect(problems['embed.weight']).toEqual(['Its shape is 96 × 64 instead of 64 × 96.']);
    expect(report.problems).toEqual(['extra.weight: the source has no such tensor.', expect.stringMatching(/^No tensor is quantized/)]);
  });
});

describe('a wrong command line', () => {
  it.each([
    [['convrt', 'x'], 'unknown command convrt; did you mean convert?'],
    [['model.safetensors'], 'Try: fp8 convert model.safetensors'],
    [['convert'], 'which file? fp8 convert FILE'],
    [['convert', 'a', 'b'], 'one file at a time'],
    [['convert', 'a', '--ouput', 'b'], 'did you mean --output?'],
    [['convert', 'a', '--calib_samples', '511'], '512 to 8192; it is "511"'],
    [['convert', 'a', '--num_iter', '0'], '--num_iter must be a whole number'],
    [['convert', 'a', '--top_k', 'all'], '--top_k must be full or a whole number'],
    [['convert', 'a', '--device', 'gpu'], '--device cannot be "gpu"'],
    [['convert', 'a', '--layout', 'comfy'], 'did you mean comfyui?'],
    [['convert', 'a', '--threads=-1'], '--threads must be a whole number'],
    [['inspect'], 'which file? fp8 inspect FILE'],
    [['verify', 'a'], 'against which source?'],
    [['devices', 'gpu'], 'takes no "gpu"'],
  ])('%j: exit code 2 and one line', async (words, message) => {
    const { code, stdout, stderr } = await fp8(program, words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^fp8: error: [^\n]*\n$/);
    expect(stderr).toContain(message);
  });

  it('help is help, and names every option', async () => {
    for (const words of [['--help'], ['help'], ['convert', '--help'], ['help', 'verify'], ['devices', '-h']]) {
      const { code, stdout, stderr } = await fp8(program, words);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout.length).toBeGreaterThan(60);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThan(140);
    }
    expect((await fp8(program, ['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await fp8(program, [])).code).toBe(2);
  });
});

it('says how to build the native part where it is missing, and what is wrong where it does not load', async () => {
  const nowhere = join(folder.path, 'nowhere.node');
  expect((await fp8(program, ['devices'], { environment: { FP8_NATIVE: nowhere } })).stderr).toBe(
    `fp8: error: The native part ${nowhere} is missing. FP8_NATIVE names this file; correct or unset it.\n`,
  );
  await writeFile(nowhere, 'not a library');
  const { code, stderr } = await fp8(program, ['convert', model], { environment: { FP8_NATIVE: nowhere } });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^fp8: error: The native part .*nowhere\.node does not load: .*npm run build:native\n$/);
  expect((await files()).filter((name) => name.includes('fp8'))).toEqual([]);
});

it('on a terminal it draws a bar, without colours where NO_COLOR is set', (context) => {
  const output = join(folder.path, 'out.safetensors');
  const typed = `stty cols 100; "${process.execPath}" "${program.commandLine}" convert "${slowModel}" -o "${output}" --rounding nearest --device cpu --force`;
  // Where there is no such program there is no output either, whatever the types say.
  const onTerminal = (environment: NodeJS.ProcessEnv): string | null =>
    spawnSync('script', ['-qec', typed, '/dev/null'], { env: { ...program.environment, TERM: 'xterm', ...environment }, encoding: 'utf8' })
      .stdout;
  const coloured = onTerminal({});
  if (coloured === null) return context.skip('there is no program script to make a terminal with');
  expect(coloured).toMatch(/\r *\d+ % .*━.* \d+\/12 · \d.* MB\/s · ETA/u);
  expect(coloured).toContain('\u001b[32mDone');
  const plain = onTerminal({ NO_COLOR: '1' });
  expect(plain).toContain('━');
  expect(plain).not.toMatch(/\u001b\[\d+m/u);
});

/** Until the disk is full. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (;;) writeSync(file, new Uint8Array(65_536));
  } catch {
    // Full.
  } finally {
    closeSync(file);
  }
}

function runs(module: string): boolean {
  return spawnSync('pgrep', ['-f', module]).status === 0;
}
