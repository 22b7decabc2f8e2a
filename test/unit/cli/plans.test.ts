// What a plan and a report say on the command line before and after a job: of what stands beside a model, of its device, and of codes that are moved.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { TOY_MODEL, writeModel } from '../../support/modelFile';
import { fp8, type Ended } from '../../support/program';
import { programScene } from '../../support/programScene';

const scene = programScene();
const QUICKLY = ['--rounding', 'nearest', '--device', 'cpu'];
let folder: string;
let model: string;

beforeEach(async () => {
  folder = join(scene.folder, 'toy');
  await mkdir(folder);
  model = join(folder, 'model.safetensors');
  await writeModel(model, TOY_MODEL);
});

const run = (...words: readonly string[]): Promise<Ended> => fp8(scene.program, words);

it('of a folder for transformers the plan says which layouts its loaders read', async () => {
  await writeFile(join(folder, 'config.json'), '{"architectures":["LlamaForCausalLM"]}');
  const { code, stdout } = await run('convert', folder, ...QUICKLY);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^warning: transformers and vLLM, .* Choose --layout compressed-tensors \(vLLM\) or huggingface \(transformers\)/m,
  );
  const other = await run('convert', folder, ...QUICKLY, '--layout', 'compressed-tensors', '-o', join(scene.folder, 'other'));
  expect([other.code, other.stdout]).toEqual([0, expect.not.stringContaining('warning')]);
});

describe('config.json beside a single file', () => {
  let output: string;
  let config: string;
  const words = (): readonly string[] => ['convert', model, '-o', output, '--layout', 'compressed-tensors', ...QUICKLY];

  beforeEach(async () => {
    await writeFile(join(folder, 'config.json'), '{"model_type":"toy"}');
    const out = join(scene.folder, 'out');
    await mkdir(out);
    output = join(out, 'model.safetensors');
    config = join(out, 'config.json');
  });

  it('is told in the plan and in the report', async () => {
    const { code, stdout, stderr } = await run(...words());
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`  config  ${config} is written, with quantization_config\n`);
    expect(stdout).toMatch(/^note: config\.json was written beside it/m);
    expect(await readFile(config, 'utf8')).toContain('"quantization_config"');
    const again = await run(...words(), '--force');
    expect(again.stdout).toContain(`  config  ${config} is replaced, with quantization_config\n`);
    expect(again.stdout).toMatch(/^note: config\.json beside it was replaced/m);
  });

  it('that is there already is left alone, and told once, also by a dry run', async () => {
    await writeFile(config, '{"mine":true}');
    const warning =
      /Loaders of the layout compressed-tensors need quantization_config in config\.json, which cannot be written: .*config\.json exists already/g;
    const dry = await run(...words(), '--dry-run');
    expect(dry.stdout.match(warning)).toHaveLength(1);
    const { code, stdout, stderr } = await run(...words());
    expect(code).toBe(0);
    expect(`${stdout}${stderr}`.match(warning)).toHaveLength(1);
    expect(stdout).not.toMatch(/^note: config\.json/m);
    expect(await readFile(config, 'utf8')).toBe('{"mine":true}');
  });
});

it('a dry run tells of a device that is not there', async () => {
  const { code, stdout } = await run('convert', model, '--dry-run', '--rounding', 'nearest', '--device', 'cuda:77');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^warning: The device cuda:77 cannot be used: .* Choose .*cpu.*, or auto\.$/m);
  expect((await run('convert', model, '--dry-run', ...QUICKLY)).stdout).not.toContain('warning');
});

it('codes that are dequantized or migrated are not called kept, and what remedies there are is told', async () => {
  const quantized = join(scene.folder, 'quantized.safetensors');
  expect((await run('convert', model, '-o', quantized, ...QUICKLY)).code).toBe(0);
  const again = await run('convert', quantized, ...QUICKLY);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringMatching(
      /quantized\.safetensors: Nothing to quantize: the model is quantized already \(6 weights\)\. --requantize .*fp8 migrate .*fp8 dequantize /,
    ),
  ]);
  const numbers = await run('dequantize', quantized);
  expect(numbers.stdout).toMatch(/^ {2}dequantize +6 .*\n {2}keep +7 /m);
  expect(numbers.stdout).toMatch(/^ {2}tensors {2}6 dequantized; 7 kept$/m);
  const migrated = await run('migrate', quantized, '--to', 'plain');
  expect(migrated.stdout).toMatch(/^ {2}migrate +6 /m);
  expect(migrated.stdout).toMatch(/^ {2}tensors {2}6 migrated; 13 kept: /m);
  for (const words of [
    ['dequantize', model],
    ['migrate', model, '--to', 'plain'],
  ])
    expect((await run(...words)).stderr).toMatch(/^fp8: error: .*model\.safetensors: Nothing to (dequantize|migrate): /);
});

it('--force does not cover folders, and says so', async () => {
  const output = join(scene.folder, 'out');
  await mkdir(output);
  await writeFile(join(output, 'mine.txt'), '');
  const words = ['convert', folder, '-o', output, ...QUICKLY];
  expect((await run(...words)).stderr).toMatch(
    /^fp8: error: The folder .*out exists and is not empty\. Choose another output, or remove it\.\n$/,
  );
  expect((await run(...words, '-f')).stderr).toMatch(/ is not empty, and --force does not cover folders\. Choose another output/);
});

it('an output where nothing can be created is refused in words', async (context) => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) context.skip('only root on Linux may try to write into /proc');
  const { code, stderr } = await run('convert', model, '-o', '/proc/x.safetensors', ...QUICKLY);
  expect([code, stderr]).toEqual([
    1,
    'fp8: error: /proc/x.safetensors cannot be created there. Choose an output in another folder than /proc.\n',
  ]);
});
