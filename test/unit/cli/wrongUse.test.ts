// What people type by mistake, and machines where something is missing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TOY_MODEL, writeModel } from '../../support/modelFile';
import { fp8 } from '../../support/program';
import { programScene } from '../../support/programScene';

const scene = programScene();

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
    [['convert', 'a', '--layout', 'vLLM'], 'did you mean compressed-tensors?'],
    [['migrate', 'a', '--to', 'transformers'], 'did you mean huggingface?'],
    [['convert', 'a', '--max-shard-size', '5'], '"5" is 5 bytes: did you mean 5GB?'],
    [['convert', 'a', '--ouput', 'b'], '(fp8 convert --help shows how)'],
    [['verify', 'a', 'b'], 'did you mean fp8 verify a --against b?'],
    [['help', 'convrt'], 'unknown command convrt; did you mean convert?'],
    [['verify', '--input', 'a', 'b'], '(fp8 verify --help shows how)'],
    [['convert', 'a', '--threads=-1'], '--threads must be a whole number'],
    [['inspect'], 'which file? fp8 inspect FILE'],
    [['verify'], 'which file? fp8 verify FILE'],
    [['devices', 'gpu'], 'takes no "gpu"'],
  ])('%j: exit code 2 and one line', async (words, message) => {
    const { code, stdout, stderr } = await fp8(scene.program, words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^fp8: error: [^\n]*\n$/);
    expect(stderr).toContain(message);
  });

  it('an output of another kind is refused, and one of a folder gets its usual name there', async () => {
    const model = join(scene.folder, 'model.safetensors');
    await writeModel(model, TOY_MODEL);
    const wrong = await fp8(scene.program, ['convert', model, '-o', join(scene.folder, 'x.gguf')]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toMatch(/--output names a \.gguf file, and what is written is \.safetensors/);
    const endless = await fp8(scene.program, ['convert', model, '-o', join(scene.folder, 'v1.5')]);
    expect([endless.code, endless.stderr]).toEqual([
      2,
      expect.stringMatching(/v1\.5" has no ending: add \.safetensors, or \/ for a folder/),
    ]);
    const out = `${join(scene.folder, 'out')}/`;
    const words = ['convert', model, '--rounding', 'nearest', '--device', 'cpu', '-o', out];
    const missing = await fp8(scene.program, words);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringMatching(/The folder .*out does not exist/)]);
    await mkdir(out);
    expect((await fp8(scene.program, words)).code).toBe(0);
    expect(await readdir(out)).toEqual(['model_fp8_e4m3fn_scaled.safetensors']);
    expect((await fp8(scene.program, ['inspect', '--input', model])).stdout).toContain('layers.0.mlp.fc1.weight');
  });

  it('help is help, and names every option', async () => {
    for (const words of [['--help'], ['help'], ['convert', '--help'], ['help', 'verify'], ['devices', '-h']]) {
      const { code, stdout, stderr } = await fp8(scene.program, words);
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout.length).toBeGreaterThan(60);
      for (const line of stdout.split('\n')) expect(line.length).toBeLessThan(140);
    }
    for (const word of ['--version', 'version']) expect((await fp8(scene.program, [word])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await fp8(scene.program, [])).code).toBe(2);
  });
});

it('a recipe that is none, and statistics without a file, are told with what to do', async () => {
  const model = join(scene.folder, 'model.safetensors');
  await writeModel(model, TOY_MODEL);
  const told = async (...words: readonly string[]): Promise<string> => (await fp8(scene.program, ['convert', model, ...words])).stderr;
  expect(await told('--recipe', scene.folder)).toMatch(
    /^fp8: error: .* is a folder\. Name a recipe file in it \(\*\.fp8recipe\.json\)\.\n$/,
  );
  expect(await told('--recipe', model)).toMatch(
    /^fp8: error: .*model\.safetensors: it is not text, and a recipe is JSON\. Check the path\.\n$/,
  );
  expect(await told('--statistics', 'calibrated')).toMatch(
    /no calibration file is given: name one with --calibration, or leave --statistics at auto\.\n$/,
  );
  expect(await scene.files()).toEqual(['model.safetensors']);
});

it('fails where what it prints cannot be written', async (context) => {
  if (process.platform !== 'linux') context.skip('there is no /dev/full');
  const full = await open('/dev/full', 'w');
  const child = spawn(process.execPath, [scene.program.commandLine, '--help'], { stdio: ['ignore', full.fd, 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  await full.close();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^fp8: error: what is printed could not be written: .*ENOSPC/);
});

it('says how to build the native part where it is missing, and what is wrong where it does not load', async () => {
  const nowhere = join(scene.folder, 'nowhere.node');
  expect((await fp8(scene.program, ['devices'], { environment: { FP8_NATIVE: nowhere } })).stderr).toBe(
    `fp8: error: The native part ${nowhere} is missing. FP8_NATIVE names this file; correct or unset it.\n`,
  );
  await writeFile(nowhere, 'not a library');
  const model = join(scene.folder, 'model.safetensors');
  await writeModel(model, TOY_MODEL);
  const { code, stderr } = await fp8(scene.program, ['convert', model], { environment: { FP8_NATIVE: nowhere } });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^fp8: error: The native part .*nowhere\.node does not load: .*npm run build:native\n$/);
  expect(await scene.files()).toEqual(['model.safetensors', 'nowhere.node']);
});
