// `fp8 convert` as users type it: the real program, engine and addon, its output, its exit codes and what is left on disk.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../src/engine/job/jobEvent';
import { readHeader } from '../../../src/engine/safetensors/reader';
import { TOY_MODEL, writeModel } from '../../support/modelFile';
import { eventually, fp8 } from '../../support/program';
import { programScene, terminalEvents } from '../../support/programScene';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
const scene = programScene();
/** So that the slow model is far from its end when something happens to it. */
const slowly = ['--device', 'cpu', '--threads', '1'];
let model: string;

beforeEach(async () => {
  model = join(scene.folder, 'model.safetensors');
  await writeModel(model, TOY_MODEL, { title: 'toy\u001b[31m' });
});

describe('fp8 convert', () => {
  it('shows the plan and the report, and names the output itself', async () => {
    const { code, stdout, stderr } = await fp8(scene.program, ['convert', '--input', model, '--device', 'cpu']);
    expect([code, stderr]).toEqual([0, '']);
    expect(await scene.files()).toEqual(['model.safetensors', 'model_fp8_e4m3fn_scaled.safetensors']);
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
    expect((await fp8(scene.program, [model, ...flags].slice(1).concat('--input', model))).code).toBe(0);
    expect((await fp8(scene.program, ['convert', model, ...flags, '--force'])).code).toBe(0);
    expect(await scene.files()).toEqual(['model.safetensors', 'model_fp8_e4m3fn_scaled_nodistill.safetensors']);
  });

  it('does not overwrite without --force', async () => {
    const words = ['convert', model, '--rounding', 'nearest', '--device', 'cpu'];
    expect((await fp8(scene.program, words)).code).toBe(0);
    const again = await fp8(scene.program, words);
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/^fp8: error: .*model_fp8_e4m3fn_scaled\.safetensors exists already\. .*overwrite it with --force\.\n$/);
    expect(again.stdout).toBe('');
    const dry = await fp8(scene.program, [...words, '--dry-run']);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/warning: It could not be written: .*model_fp8_e4m3fn_scaled\.safetensors exists already/);
    expect(jobEvents((await fp8(scene.program, [...words, '--dry-run', '--json'])).stdout)[1]).toMatchObject({ type: 'warning' });
    expect((await fp8(scene.program, [...words, '--dry-run', '--force'])).stdout).not.toContain('warning');
    expect((await fp8(scene.program, [...words, '--force'])).code).toBe(0);
  });

  it('tells in the plan what was chosen to steer the rounding, and what the layout does not take', async () => {
    const chosen = ['--statistics', 'gram', '--sides', 'input', '--bias-correction', 'off'];
    const { stdout } = await fp8(scene.program, [
      'convert',
      model,
      '--dry-run',
      ...chosen,
      '--layout',
      'huggingface',
      '--granularity',
      'block:7x7',
    ]);
    expect(stdout).toMatch(/recipe .*gram statistics, steered on the input side, biases as they are/);
    expect(stdout).toMatch(/keep +6 .* Layout, e\.g\. \d+ × \d+ does not divide into 7 × 7 blocks/);
  });

  it('with --dry-run shows the plan and writes nothing', async () => {
    const { code, stdout } = await fp8(scene.program, ['convert', model, '--dry-run', '-v']);
    expect(code).toBe(0);
    for (const { name } of TOY_MODEL) expect(stdout).toContain(name);
    expect(stdout).toMatch(/ {2}model +unknown: None of the \d+ known families has .* The most frequent name is `/);
    expect(stdout).toMatch(/^ {2}steered 6 gram.*: what stands before this layer is not known\.$/m);
    expect(stdout).toMatch(/layers\.0\.mlp\.fc1\.weight .* Linear weight: .* Gram: what stands before this layer is not known\./);
    expect(await scene.files()).toEqual(['model.safetensors']);
    const planned = jobEvents((await fp8(scene.program, ['convert', model, '--dry-run', '--json'])).stdout);
    expect(planned[0]).toMatchObject({
      type: 'planned',
      counts: { quantize: 6, keep: 7, remove: 0 },
      steering: [{ inputs: 'gram', tensors: 6 }],
      model: { family: 'unknown' },
    });
    const onGpu = jobEvents((await fp8(scene.program, ['convert', model, '--dry-run', '--json', '--device', 'cuda'])).stdout);
    expect(onGpu[0]).toMatchObject({ steering: [{ inputs: 'gram', outputs: 'none', tensors: 6 }] });
  });

  it('with --json prints one event a line, of which exactly one ends the job, and writes the report', async () => {
    const report = join(scene.folder, 'report.json');
    const { code, stdout, stderr } = await fp8(scene.program, ['convert', model, '--json', '--report', report, '--device', 'cpu']);
    expect([code, stderr]).toEqual([0, '']);
    const events = jobEvents(stdout);
    expect(events[0]).toMatchObject({ type: 'planned', steering: [{ inputs: 'gram', outputs: 'gram', tensors: 6 }] });
    const end = events.at(-1);
    expect(terminalEvents(events)).toEqual([end]);
    expect(end?.type === 'done' ? end.report : undefined).toEqual(JSON.parse(await readFile(report, 'utf8')));
  });

  it('with --json ends a failure in one failed event as well', async () => {
    const missing = join(scene.folder, 'missing.safetensors');
    const { code, stdout, stderr } = await fp8(scene.program, ['convert', missing, '--json']);
    expect(code).toBe(1);
    expect(jobEvents(stdout)).toMatchObject([{ type: 'failed', error: { code: 'FileNotFound' } }]);
    expect(stderr).toBe(`fp8: error: ${missing}: there is no such file. Check the path.\n`);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('is cancelled by %s: exit code 130, and nothing is left', async (signal) => {
    const output = join(scene.folder, 'slow.safetensors');
    const { code, stdout, stderr } = await fp8(scene.program, ['convert', scene.slowModel, '--output', output, '--json', ...slowly], {
      meanwhile: (child, text) => {
        void eventually('tensors are worked on', () => text().includes('tensorStarted')).then(() => child.kill(signal));
      },
    });
    expect(code).toBe(130);
    expect(stderr).toBe('fp8: cancelled; nothing was written.\n');
    expect(terminalEvents(jobEvents(stdout))).toEqual([{ type: 'cancelled' }]);
    expect(await scene.files()).toEqual(['model.safetensors']);
  });

  it('that is killed outright leaves an engine that cleans up and ends', async () => {
    const output = join(scene.folder, 'slow.safetensors');
    const { code } = await fp8(scene.program, ['convert', scene.slowModel, '--output', output, '--json', ...slowly], {
      meanwhile: (child, text) => {
        void eventually('tensors are worked on', () => text().includes('tensorStarted')).then(() => child.kill('SIGKILL'));
      },
    });
    expect(code).toBeNull();
    await eventually('the temporary file is removed', async () => (await scene.files()).length === 1);
    await eventually('the engine ends', () => !runs(scene.program.engineModule));
  });

  it('takes a recipe file, which options override and overrides add to', async () => {
    const recipe = join(scene.folder, 'a.fp8recipe.json');
    await writeFile(recipe, JSON.stringify({ rounding: 'nearest', numIter: 7, overrides: [{ match: '*.qkv.weight', action: 'keep' }] }));
    const output = join(scene.folder, 'out.safetensors');
    const options = ['--recipe', recipe, '--num_iter', '9', '--quantize', 'layers.1.attn.qkv.weight', '--remove', '*.fc?.weight'];
    const { code, stdout, stderr } = await fp8(scene.program, ['convert', model, '-o', output, '--json', '--device', 'cpu', ...options]);
    expect([code, stderr]).toEqual([0, '']);
    const [end] = terminalEvents(jobEvents(stdout));
    expect(end).toMatchObject({ type: 'done', report: { recipe: { rounding: 'nearest', numIter: 9, presets: ['auto'] } } });
    const header = await readHeader(output);
    expect(header.byName.get('layers.0.attn.qkv.weight')?.dtype).toBe('BF16');
    expect(header.byName.get('layers.1.attn.qkv.weight')?.dtype).toBe('F8_E4M3');
    expect([...header.byName.keys()].filter((name) => name.includes('.fc'))).toEqual([]);
    expect((await fp8(scene.program, ['verify', output, '--against', model])).code).toBe(0);
  });

  it('says what is wrong with a recipe file, and writes nothing', async () => {
    const recipe = join(scene.folder, 'a.fp8recipe.json');
    await writeFile(recipe, '{"rounding": "best"}');
    const { code, stderr } = await fp8(scene.program, ['convert', model, '--recipe', recipe]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fp8: error: .*a\.fp8recipe\.json: "rounding" must be one of "learned", "tpec", "nearest"; it is "best"\.\n$/);
    expect((await scene.files()).filter((name) => name.includes('fp8_'))).toEqual([]);
  });

  it('goes on when its reader goes away', async () => {
    const output = join(scene.folder, 'out.safetensors');
    const child = spawn(process.execPath, [scene.program.commandLine, 'convert', model, '-o', output, '--json', '--device', 'cpu'], {
      env: scene.program.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    child.stdout.destroy();
    expect(await new Promise((done) => child.once('close', done))).toBe(0);
    expect(stderr).toBe('');
    expect((await readHeader(output)).tensors.length).toBeGreaterThan(10);
  });

  it('says what a read-only folder needs', async (context) => {
    const user = await ordinaryUser();
    if (user === undefined) return context.skip('root may write everywhere, and nobody else can run the program here');
    await chmod(scene.folder, 0o555);
    const { code, stderr } = await fp8(scene.program, ['convert', model, '--device', 'cpu'], user);
    await chmod(scene.folder, 0o755);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fp8: error: .*folder .* is read-only for you\. Change its permissions, or choose another output path\.\n$/);
    expect(await scene.files()).toEqual(['model.safetensors']);
  });

  it('says which file may not be read', async (context) => {
    const user = await ordinaryUser();
    if (user === undefined) return context.skip('root may read everything, and nobody else can run the program here');
    await chmod(model, 0o000);
    await chmod(scene.folder, 0o755);
    const { code, stderr } = await fp8(scene.program, ['convert', model], user);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^fp8: error: .*model\.safetensors: you may not read this file\..*\n$/);
  });

  describe('on a full disk', () => {
    let disk: string;
    let mounted = false;

    beforeEach(async () => {
      disk = join(scene.folder, 'disk');
      await mkdir(disk);
      mounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk]).status === 0;
      return () => (mounted ? spawnSync('umount', ['-l', disk]) : undefined);
    });

    it('says so before computing anything', async (context) => {
      if (!mounted) return context.skip('a small disk can be mounted only by root');
      await writeFile(join(disk, 'filler'), new Uint8Array(30_000_000));
      const { code, stderr } = await fp8(scene.program, [
        'convert',
        scene.slowModel,
        '--output',
        join(disk, 'out.safetensors'),
        '--device',
        'cpu',
      ]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^fp8: error: .*out\.safetensors needs 37\.\d MB, and .*disk has 20\.\d MB left\. Free some space.*\n$/);
      expect(await readdir(disk)).toEqual(['filler']);
    });

    it('is no matter when it fills up meanwhile: the room is taken first', { timeout: 120_000 }, async (context) => {
      if (!mounted) return context.skip('a small disk can be mounted only by root');
      const busy = join(scene.folder, 'busy.safetensors');
      await writeModel(
        busy,
        Array.from({ length: 8 }, (_, i) => ({ name: `busy.${i}.weight`, dtype: 'BF16', shape: [1024, 1024] })),
      );
      let filled = Promise.resolve();
      const { code } = await fp8(scene.program, ['convert', busy, '--output', join(disk, 'out.safetensors'), '--json', '--device', 'cpu'], {
        meanwhile: (_child, text) => {
          filled = eventually('the engine is at work', () => text().includes('tensorStarted')).then(() => fill(join(disk, 'filler')));
        },
      });
      await filled;
      expect(code).toBe(0);
      expect((await readdir(disk)).sort()).toEqual(['filler', 'out.safetensors']);
    });
  });
});

it('on a terminal it draws a bar, without colours where NO_COLOR is set', (context) => {
  const output = join(scene.folder, 'out.safetensors');
  const typed = `stty cols 100; "${process.execPath}" "${scene.program.commandLine}" convert "${scene.slowModel}" -o "${output}" --rounding nearest --device cpu --force`;
  // Where there is no such scene.program there is no output either, whatever the types say.
  const onTerminal = (environment: NodeJS.ProcessEnv): string | null =>
    spawnSync('script', ['-qec', typed, '/dev/null'], {
      env: { ...scene.program.environment, TERM: 'xterm', ...environment },
      encoding: 'utf8',
    }).stdout;
  const coloured = onTerminal({ NO_COLOR: '' });
  if (coloured === null) return context.skip('there is no scene.program script to make a terminal with');
  expect(coloured).toMatch(/\r *\d+ % .*━.* \d+\/4 · \d.* [kMG]?B\/s · ETA/u);
  expect(coloured).toContain('\u001b[32mDone');
  const plain = onTerminal({ NO_COLOR: '1' });
  expect(plain).toContain('━');
  expect(plain).not.toMatch(/\u001b\[\d+m/u);
});

function jobEvents(stdout: string): readonly JobEvent[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as JobEvent);
}

/** This user, or for root, who may do everything, somebody else; undefined where that one can reach neither Node nor the addon. */
async function ordinaryUser(): Promise<{ readonly uid?: number } | undefined> {
  if (!isRoot) return {};
  await chmod(dirname(scene.program.engineModule), 0o755);
  const reached = spawnSync(process.execPath, [scene.program.commandLine, 'devices'], { env: scene.program.environment, uid: NOBODY });
  return reached.status === 0 ? { uid: NOBODY } : undefined;
}

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
