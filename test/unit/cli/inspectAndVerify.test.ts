// `fp8 inspect` and `fp8 verify` as users type them.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { readHeader } from '../../../src/engine/safetensors/reader';
import { TOY_MODEL, writeModel } from '../../support/modelFile';
import { fp8 } from '../../support/program';
import { programScene } from '../../support/programScene';

const scene = programScene();
let model: string;

beforeEach(async () => {
  model = join(scene.folder, 'model.safetensors');
  await writeModel(model, TOY_MODEL, { title: 'toy\u001b[31m' });
});

describe('fp8 inspect', () => {
  it('lists names, dtypes, shapes, sizes and actions, totals and metadata, and lets no name drive the terminal', async () => {
    const { code, stdout } = await fp8(scene.program, ['inspect', model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/layers\.0\.attn\.qkv\.weight +BF16 +288 × 96 +55\.3 kB +quantize +Linear weight\n/);
    expect(stdout).toMatch(/nothing\.weight +BF16 +0 × 96 +0 B +keep +Empty\n/);
    expect(stdout).toMatch(/13 tensors/);
    expect(stdout).toMatch(/ {2}model +unknown: None of the \d+ known families has tensors of these names and shapes\.\n/);
    expect(stdout).toContain('title = toy\\u001b[31m');
    expect(stdout).not.toContain('\u001b');
  });

  it('with --json says the same to programs', async () => {
    const { stdout } = await fp8(scene.program, ['inspect', model, '--json']);
    const inventory = JSON.parse(stdout) as { readonly tensors: readonly Record<string, unknown>[] };
    expect(inventory).toMatchObject({ path: model, metadata: { title: 'toy\u001b[31m' }, model: { family: 'unknown', prefix: '' } });
    expect(inventory.tensors).toHaveLength(13);
    expect(inventory.tensors.find(({ name }) => name === 'step')).toMatchObject({ dtype: 'I64', shape: [], bytes: 8, action: 'keep' });
  });

  it('plans by the numbers of a quantized source where a recipe asks for that, and lists what is in the file', async () => {
    const quantized = join(scene.folder, 'quantized.safetensors');
    expect((await fp8(scene.program, ['convert', model, '-o', quantized, '--rounding', 'nearest'])).code).toBe(0);
    const recipe = join(scene.folder, 'again.fp8recipe.json');
    await writeFile(recipe, '{"quantized":"requantize","target":"int8"}');
    interface Inventory {
      readonly outputSize: number;
      readonly tensors: readonly { readonly name: string; readonly dtype: string; readonly action: string }[];
    }
    const inventory = JSON.parse((await fp8(scene.program, ['inspect', quantized, '--recipe', recipe, '--json'])).stdout) as Inventory;
    const header = await readHeader(quantized);
    expect(inventory.tensors.map(({ name, dtype }) => [name, dtype])).toEqual(header.tensors.map(({ name, dtype }) => [name, dtype]));
    const actionOf = (name: string) => inventory.tensors.find((tensor) => tensor.name === name)?.action;
    expect(actionOf('layers.0.attn.qkv.weight')).toBe('quantize');
    expect(actionOf('layers.0.attn.qkv.weight_scale')).toBe('remove');
    const kept = JSON.parse((await fp8(scene.program, ['inspect', quantized, '--json'])).stdout) as Inventory;
    expect(kept.tensors.every(({ action }) => action === 'keep')).toBe(true);
    const option = JSON.parse(
      (await fp8(scene.program, ['inspect', quantized, '--requantize', '--target', 'int8', '--json'])).stdout,
    ) as Inventory;
    expect(option.tensors).toEqual(inventory.tensors);
    // What the plan says is what a conversion writes.
    const output = join(scene.folder, 'again.safetensors');
    expect((await fp8(scene.program, ['convert', quantized, '-o', output, '--recipe', recipe, '--rounding', 'nearest'])).code).toBe(0);
    expect((await readHeader(output)).byName.get('layers.0.attn.qkv.weight')?.dtype).toBe('I8');
  });

  it('ends quietly when its reader goes away', async () => {
    const large = join(scene.folder, 'large.safetensors');
    await writeModel(
      large,
      Array.from({ length: 20_000 }, (_, i) => ({ name: `layers.${i}.weight`, dtype: 'BF16', shape: [1] })),
    );
    const command = `"${process.execPath}" "${scene.program.commandLine}" inspect "${large}" | head -1`;
    const { status, stdout, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
      env: scene.program.environment,
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ {2}tensor/);
  });

  it.each(['bad_gguf', 'bad_hole_start', 'bad_json_nul_padding', 'bad_lfs_pointer', 'bad_7_bytes', 'bad_dtype_unknown'])(
    'refuses %s with one line that names the file',
    async (name) => {
      const path = resolve(`test/fixtures/safetensors-cases/${name}.safetensors`);
      for (const command of ['inspect', 'convert']) {
        const { code, stdout, stderr } = await fp8(scene.program, [command, path]);
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
    converted = join(scene.folder, 'converted.safetensors');
    await fp8(scene.program, ['convert', model, '-o', converted, '--rounding', 'nearest', '--device', 'cpu']);
  });

  async function patch(tensor: string, bytes: Uint8Array): Promise<void> {
    const { begin } = (await readHeader(converted)).byName.get(tensor) ?? { begin: NaN };
    const file = openSync(converted, 'r+');
    writeSync(file, bytes, 0, bytes.length, begin);
    closeSync(file);
  }

  it('prints the error of each tensor and of all: exit code 0', async () => {
    const { code, stdout, stderr } = await fp8(scene.program, ['verify', converted, '--against', model]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/layers\.0\.attn\.qkv\.weight +quantized +2\.\d\d % /);
    expect(stdout).toMatch(/Good: .*converted\.safetensors against .*model\.safetensors/);
    expect(stdout).toMatch(/6 quantized, 7 kept byte for byte, 0 wrong/);
    const alone = await fp8(scene.program, ['verify', converted]);
    expect(alone.code).toBe(0);
    expect(alone.stdout).toMatch(/Good: .*converted\.safetensors by the rules of its loader alone/);
    expect(alone.stdout).toMatch(/6 quantized, 7 kept, 0 wrong\n +error +not measured: nothing was compared/);
  });

  it.each([
    ['a kept byte', 'layers.0.norm.weight', [1], 'layers.0.norm.weight: Its bytes differ from the source'],
    ['a scale that is zero', 'layers.0.attn.qkv.weight_scale', [0, 0, 0, 0], 'Its scale layers.0.attn.qkv.weight_scale is 0'],
    ['a scale that is NaN', 'layers.0.attn.qkv.weight_scale', [0, 0, 0xc0, 0x7f], 'weight_scale is NaN'],
    ['a scale of something else', 'layers.0.attn.qkv.weight_scale', [0, 0, 0x80, 0x3f], 'so its codes or its scale are not its own'],
    ['a code that is NaN', 'layers.0.mlp.fc2.weight', [0x7f], 'layers.0.mlp.fc2.weight: One of its values is NaN'],
    [
      'a description that loaders do not know',
      'layers.0.mlp.fc1.comfy_quant',
      [0x20],
      'layers.0.mlp.fc1.comfy_quant does not say float8_e4m3fn',
    ],
  ])('finds %s: exit code 1', async (_what, tensor, bytes, finding) => {
    await patch(tensor, Uint8Array.from(bytes));
    const { code, stdout } = await fp8(scene.program, ['verify', converted, '--against', model]);
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
    const { code, stdout } = await fp8(scene.program, ['verify', converted, '--against', model]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/warning: layers\.0\.attn\.qkv\.weight_scale: BF16 does not hold the scale exactly/);
  });

  it('says in one line that a source is of another model, and of many tensors together what is wrong with all', async () => {
    const stranger = join(scene.folder, 'stranger.safetensors');
    await writeModel(stranger, [
      { name: 'x.weight', dtype: 'BF16', shape: [3] },
      { name: 'y.weight', dtype: 'BF16', shape: [3] },
    ]);
    const { code, stdout } = await fp8(scene.program, ['verify', converted, '--against', stranger]);
    expect(code).toBe(1);
    expect(stdout.match(/^wrong: .*$/gm)).toEqual([`wrong: No tensor of ${stranger} is in the file: was it converted from another one?`]);
    expect(stdout).not.toMatch(/no converted file|0 quantized/);
    const part = join(scene.folder, 'part.safetensors');
    await writeModel(
      part,
      TOY_MODEL.filter(({ name }) => name.startsWith('layers.0.') || name === 'step'),
    );
    const partly = await fp8(scene.program, ['verify', part, '--against', model]);
    expect(partly.stdout.match(/^wrong: .*$/gm)).toEqual([
      expect.stringMatching(/^wrong: \S+ and 6 others: It is missing in the converted file\.$/),
      expect.stringMatching(/^wrong: No tensor is quantized/),
    ]);
  });

  it('of a file that was not converted only says so', async () => {
    const { code, stdout } = await fp8(scene.program, ['verify', model]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^wrong: No tensor is quantized, so this is no converted file/);
  });

  it('finds missing tensors, other shapes, and strangers', async () => {
    const other = join(scene.folder, 'other.safetensors');
    await writeModel(other, [
      ...TOY_MODEL.filter(({ name }) => name !== 'step').map((tensor) =>
        tensor.name === 'embed.weight' ? { ...tensor, shape: [96, 64] } : tensor,
      ),
      { name: 'extra.weight', dtype: 'BF16', shape: [3] },
    ]);
    const { code, stdout } = await fp8(scene.program, ['verify', other, '--against', model, '--json']);
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
