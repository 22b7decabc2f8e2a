/** A verification knows every layout, and tells codes that are not their own from rounding. */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { VerifyReport } from '../../../../src/engine/job/verify/verifyEvent';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { quantizationConfig } from '../../../../src/engine/plan/quantizationConfig';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { readHeader } from '../../../../src/engine/safetensors/reader';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();

const MODEL: readonly ModelTensor[] = [
  { name: 'a.weight', dtype: 'BF16', shape: [600, 320] },
  { name: 'b.weight', dtype: 'F16', shape: [64, 128] },
  { name: 'odd.weight', dtype: 'F32', shape: [70, 50] },
  { name: 'head.norm.weight', dtype: 'F32', shape: [96] },
];

const RECIPES: readonly Partial<Recipe>[] = [
  { layout: 'comfyui' },
  { layout: 'comfyui', target: 'float8_e5m2' },
  { layout: 'comfyui', target: 'int8' },
  { layout: 'comfyui', target: 'int8', granularity: 'tensor' },
  { layout: 'comfyui', target: 'mxfp8' },
  { layout: 'comfyui', target: 'nvfp4' },
  { layout: 'comfyui-legacy' },
  { layout: 'compressed-tensors' },
  { layout: 'compressed-tensors', target: 'nvfp4' },
  { layout: 'compressed-tensors', granularity: 'block', blockSize: [40, 64] },
  { layout: 'huggingface', granularity: 'block', blockSize: [200, 64] },
  { layout: 'plain', target: 'int8', granularity: 'block' },
  { layout: 'plain', granularity: 'row' },
];

async function convert(overrides: Partial<Recipe>): Promise<Recipe> {
  await writeModel(scene.source, MODEL);
  const recipe = defaultRecipe(overrides);
  await scene.convert(scene.request({ recipe }));
  const config = quantizationConfig(makePlan(await readHeader(scene.source), recipe, { toolVersion: '1' }));
  if (config !== undefined) await writeConfig(config);
  return recipe;
}

function writeConfig(config: Readonly<Record<string, unknown>>): Promise<void> {
  return writeFile(join(scene.folder, 'config.json'), JSON.stringify({ quantization_config: config }));
}

async function patch(tensor: string, change: (bytes: Buffer) => void): Promise<void> {
  const { begin, end } = (await readHeader(scene.output)).byName.get(tensor) ?? { begin: NaN, end: NaN };
  const file = await open(scene.output, 'r+');
  const bytes = Buffer.alloc(end - begin);
  await file.read(bytes, 0, bytes.length, begin);
  change(bytes);
  await file.write(bytes, 0, bytes.length, begin);
  await file.close();
}

function problemsOf(report: VerifyReport): readonly string[] {
  return [...report.problems, ...report.tensors.flatMap(({ name, problems }) => problems.map((problem) => `${name}: ${problem}`))];
}

describe.each(RECIPES)('a file made with %j', (overrides) => {
  const codes = overrides.layout === 'compressed-tensors' && overrides.target === 'nvfp4' ? 'a.weight_packed' : 'a.weight';

  it.each(['nearest', 'learned'] as const)('is good, %s', async (rounding) => {
    await convert({ ...overrides, rounding });
    const report = await scene.verify();
    expect(problemsOf(report)).toEqual([]);
    expect(report).toMatchObject({ ok: true, layout: overrides.layout });
    expect(report.tensors.filter(({ state }) => state === 'quantized').length).toBeGreaterThanOrEqual(1);
    const alone = await scene.verifyAlone();
    expect(problemsOf(alone)).toEqual([]);
    expect(alone).toMatchObject({ ok: true, layout: overrides.layout });
    expect([alone.source, alone.relativeError]).toEqual([undefined, undefined]);
    const states = ({ tensors }: VerifyReport): readonly string[] => tensors.map(({ name, state }) => `${name} ${state}`).sort();
    expect(states(alone)).toEqual(states(report));
  });

  it('is not good with some codes zeroed, learned', async () => {
    // Of four bits the rounding itself takes nearly a tenth of a weight.
    const every = overrides.target === 'nvfp4' ? 25 : 200;
    await convert(overrides);
    await patch(codes, (bytes) => {
      for (let i = 0; i < bytes.length; i += every) bytes[i] = 0;
    });
    expect(problemsOf(await scene.verify())).toEqual([expect.stringMatching(/^a\.weight: .* not its own\.$/)]);
  });

  it('is not good with a code that is no number, also without a source', async () => {
    const nan = NANS[overrides.target ?? 'float8_e4m3fn'];
    if (nan === undefined) return;
    await convert(overrides);
    await patch(codes, (bytes) => {
      bytes[7] = nan;
    });
    const found = [expect.stringMatching(/^a\.weight: One of its values is NaN or infinite\.$/)];
    expect(problemsOf(await scene.verify())).toEqual(found);
    expect(problemsOf(await scene.verifyAlone())).toEqual(found);
  });

  it('is not good with a single code of nearest rounding changed', async () => {
    await convert({ ...overrides, rounding: 'nearest' });
    // The sign, of the largest.
    await patch(codes, (bytes) => {
      const isNear = (byte: number): number => (overrides.target === 'int8' ? Math.abs((byte << 24) >> 24) : byte & 0x7f);
      const largest = bytes.reduce((best, byte, index) => (isNear(byte) > isNear(bytes[best] ?? 0) ? index : best), 0);
      bytes[largest] = overrides.target === 'int8' ? -(bytes[largest] ?? 0) & 0xff : (bytes[largest] ?? 0) ^ 0x80;
    });
    expect(problemsOf(await scene.verify())).toEqual([expect.stringMatching(/^a\.weight: .* not its own\.$/)]);
  });
});

/** The rest have none. */
const NANS: Readonly<Partial<Record<Recipe['target'], number>>> = { float8_e4m3fn: 0x7f, float8_e5m2: 0x7e, mxfp8: 0x7f };

it.each([
  ['float8_e4m3fn', 1.02],
  ['float8_e4m3fn', 0.98],
  ['float8_e5m2', 1.05],
  ['int8', 1.01],
] as const)('finds a scale of %s that is %f of its own', async (target, factor) => {
  await convert({ layout: 'plain', granularity: 'tensor', target });
  await patch('a.weight_scale', (bytes) => bytes.writeFloatLE(bytes.readFloatLE() * factor));
  expect(problemsOf(await scene.verify())).toEqual([expect.stringMatching(/^a\.weight: Its values are .* so its scale is not its own\.$/)]);
});

it('knows how far codes may be from a source whose layer hardly sees some of its inputs', async () => {
  const columns = 64;
  await writeModel(scene.source, [{ name: 'a.weight', dtype: 'F32', shape: [256, columns] }]);
  const calibration = join(scene.folder, 'calibration.safetensors');
  // A quarter of the directions have next to nothing; a Hadamard matrix gives every input a part of all.
  const drawn = (index: number): number => (Math.sin((index + 1) * 12.9898) * 43_758.5453) % 1;
  const parts = Array.from({ length: columns }, (_, i) => (Math.abs(drawn(i)) < 0.7 ? 1 : 0.003));
  const signs = Array.from({ length: columns }, (_, bits) => (bits.toString(2).replaceAll('0', '').length % 2 === 0 ? 1 : -1));
  const replace = Array.from({ length: 1000 * columns }, (_, index) => {
    const [sample, column] = [Math.floor(index / columns), index % columns];
    return { index, value: parts.reduce((sum, part, i) => sum + (signs[column & i] ?? 0) * part * drawn(sample * columns + i), 0) };
  });
  await writeModel(calibration, [{ name: 'a.input', dtype: 'F32', shape: [1000, columns], replace }]);
  await scene.convert(scene.request({}, { presets: [], layout: 'plain', target: 'nvfp4', calibration }));
  // So far that it would be damage without a calibration file.
  expect(problemsOf(await scene.verify())).toEqual([]);
});

describe('what breaks a load', () => {
  const described = (format: string): Readonly<Record<string, string>> => ({
    _quantization_metadata: JSON.stringify({ format_version: '1.0', layers: { a: { format } } }),
  });
  const matrix: ModelTensor = { name: 'a.weight', dtype: 'BF16', shape: [64, 64] };

  it.each<readonly [string, readonly ModelTensor[], string, RegExp]>([
    [
      'a scale for each row under a format with one',
      [
        { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
        { name: 'a.weight_scale', dtype: 'F32', shape: [64] },
      ],
      'float8_e4m3fn',
      /a\.weight: Its scale a\.weight_scale is F32 64, which its loader does not take/,
    ],
    [
      'a scale in BF16',
      [
        { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
        { name: 'a.weight_scale', dtype: 'BF16', shape: [] },
      ],
      'float8_e4m3fn',
      /a\.weight: Its a\.weight_scale is BF16 scalar instead of a\.weight_scale, F32 scalar/,
    ],
    [
      'FP8 without a scale',
      [{ name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] }],
      'float8_e4m3fn',
      /a\.weight: It is F8_E4M3 but has no scale/,
    ],
    [
      'a scale beside a weight that is not quantized',
      [matrix, { name: 'a.weight_scale', dtype: 'F32', shape: [] }],
      'float8_e4m3fn',
      /a\.weight: It is BF16 but has a scale/,
    ],
    [
      'E8M0 scales under a dtype that the reader does not know',
      [
        { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
        { name: 'a.weight_scale', dtype: 'F8_E8M0', shape: [128, 4] },
      ],
      'mxfp8',
      /a\.weight_scale: ComfyUI's reader does not know the dtype F8_E8M0/,
    ],
    [
      'a description that is not there',
      [
        { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
        { name: 'a.weight_scale', dtype: 'F32', shape: [] },
      ],
      '',
      /_quantization_metadata does not say float8_e4m3fn of a/,
    ],
  ])('%s', async (_what, tensors, format, finding) => {
    await writeModel(scene.source, [matrix]);
    await writeModel(scene.output, tensors, described(format));
    expect(problemsOf(await scene.verify()).join('\n')).toMatch(finding);
    expect(problemsOf(await scene.verifyAlone()).join('\n')).toMatch(finding);
  });

  it('a marker of the layout comfyui-legacy beside the other’s metadata, also where the source has one', async () => {
    const marker: ModelTensor = { name: 'scaled_fp8', dtype: 'F8_E4M3', shape: [2] };
    await writeModel(scene.source, [matrix, marker]);
    await scene.convert(scene.request({}, { layout: 'comfyui-legacy' }));
    expect((await scene.verifyAlone()).ok).toBe(true);
    const stored: readonly ModelTensor[] = [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
      { name: 'a.weight_scale', dtype: 'F32', shape: [] },
    ];
    await writeModel(scene.output, [...stored, marker], described('float8_e4m3fn'));
    const ignored = /scaled_fp8: loaders that find _quantization_metadata ignore this marker/;
    expect(problemsOf(await scene.verify()).join('\n')).toMatch(ignored);
    expect(problemsOf(await scene.verifyAlone()).join('\n')).toMatch(ignored);
  });

  it('a scale of a weight that the file does not have, also without a source', async () => {
    await writeModel(scene.output, [{ name: 'gone.weight_scale', dtype: 'F32', shape: [] }]);
    expect(problemsOf(await scene.verifyAlone())).toContain('gone.weight_scale: it describes a weight that the file does not have.');
  });

  it('a quantized convolution', async () => {
    await writeModel(scene.source, [{ name: 'a.weight', dtype: 'BF16', shape: [32, 16, 3, 3] }]);
    const tensors: readonly ModelTensor[] = [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [32, 16, 3, 3] },
      { name: 'a.weight_scale', dtype: 'F32', shape: [] },
    ];
    await writeModel(scene.output, tensors, described('float8_e4m3fn'));
    expect(problemsOf(await scene.verify()).join('\n')).toMatch(/a\.weight: ComfyUI ignores the scales of convolutions/);
  });

  it('scales of inputs that are no number, and a marker that asks for those that are not there', async () => {
    await convert({ layout: 'comfyui-legacy', presets: ['t5xxl'] });
    const good = await scene.verify();
    expect([good.ok, good.warnings]).toEqual([true, []]);
    await patch('a.scale_input', (bytes) => bytes.writeFloatLE(-1));
    expect(problemsOf(await scene.verify())).toEqual(['a.scale_input: the scale of inputs is -1, which is no positive number.']);
    await writeModel(scene.source, [{ name: 'a.weight', dtype: 'BF16', shape: [32, 16] }]);
    await writeModel(scene.output, [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [32, 16] },
      { name: 'a.scale_weight', dtype: 'F32', shape: [] },
      { name: 'scaled_fp8', dtype: 'F8_E4M3', shape: [0] },
    ]);
    expect((await scene.verify()).warnings.join('\n')).toMatch(/a: the marker scaled_fp8 has 0 elements.*without a scale_input/);
  });

  it.each<readonly [string, Omit<ModelTensor, 'name'>, RegExp]>([
    [
      'zero',
      { dtype: 'F32', shape: [], replace: [{ index: 0, value: 0 }] },
      /^a\.input_scale: the scale of inputs is 0, which is no positive number\.$/,
    ],
    [
      'no number',
      { dtype: 'F32', shape: [1], replace: [{ index: 0, value: NaN }] },
      /^a\.input_scale: the scale of inputs is NaN, which is no positive number\.$/,
    ],
    [
      'negative',
      { dtype: 'F32', shape: [], replace: [{ index: 0, value: -1 }] },
      /^a\.input_scale: the scale of inputs is -1, which is no positive number\.$/,
    ],
    ['of three numbers', { dtype: 'F32', shape: [3] }, /^a\.input_scale: ComfyUI reads a single F32 there, and it is F32 3\.$/],
    ['in BF16', { dtype: 'BF16', shape: [] }, /^a\.input_scale: ComfyUI reads a single F32 there, and it is BF16 scalar\.$/],
  ])('an input_scale that is %s', async (_what, scale, problem) => {
    await writeModel(scene.source, [matrix]);
    const file = (inputScale: Omit<ModelTensor, 'name'>): readonly ModelTensor[] => [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64] },
      { name: 'a.weight_scale', dtype: 'F32', shape: [], replace: [{ index: 0, value: 0.5 }] },
      { ...inputScale, name: 'a.input_scale' },
    ];
    await writeModel(scene.output, file(scale), described('float8_e4m3fn'));
    const found = [expect.stringMatching(problem)];
    expect([(await scene.verify()).problems, (await scene.verifyAlone()).problems]).toEqual([found, found]);
    await writeModel(scene.output, file({ dtype: 'F32', shape: [], replace: [{ index: 0, value: 0.5 }] }), described('float8_e4m3fn'));
    expect((await scene.verifyAlone()).problems).toEqual([]);
  });

  it.each([0, -1, NaN, Infinity])('a scale of a whole tensor of nvfp4 that is %f', async (value) => {
    await convert({ layout: 'comfyui', target: 'nvfp4' });
    await patch('a.weight_scale_2', (bytes) => bytes.writeFloatLE(value));
    const found = [`a.weight: Its scale a.weight_scale_2 is ${value}, which is no positive number.`];
    expect(problemsOf(await scene.verifyAlone())).toEqual(found);
    expect(problemsOf(await scene.verify())).toEqual(found);
  });

  it('scales that nothing tells of are a warning, unless the layout was chosen', async () => {
    await writeModel(scene.source, [matrix]);
    await scene.convert(scene.request({}, { layout: 'plain' }));
    expect((await scene.verifyAlone()).warnings).toEqual([]);
    await writeModel(scene.output, [
      { name: 'a.weight', dtype: 'F8_E4M3', shape: [64, 64], bytes: new Uint8Array(64 * 64).fill(0x38) },
      { name: 'a.weight_scale', dtype: 'F32', shape: [], replace: [{ index: 0, value: 0.5 }] },
    ]);
    const { ok, layout, warnings } = await scene.verifyAlone();
    expect([ok, layout]).toEqual([true, 'plain']);
    expect(warnings).toEqual([expect.stringMatching(/^Nothing says that these weights have scales: .* ComfyUI ignores these scales/)]);
  });

  it('codes that the loaders of a layout do not know, and nothing else on their account', async () => {
    await writeModel(scene.output, [
      { name: 'a.weight', dtype: 'F8_E5M2', shape: [32, 16] },
      { name: 'a.scale_weight', dtype: 'F32', shape: [], replace: [{ index: 0, value: 0.5 }] },
      { name: 'scaled_fp8', dtype: 'F8_E4M3', shape: [2] },
    ]);
    const { problems, tensors } = await scene.verifyAlone();
    expect(problems).toEqual([]);
    expect(tensors.map((tensor) => tensor.problems)).toEqual([
      [expect.stringMatching(/^Its codes are F8_E5M2 \(float8_e5m2\), which its loader does not take\./)],
    ]);
    await writeModel(scene.output, [{ name: 'a.weight', dtype: 'BF16', shape: [32, 16] }]);
    expect((await scene.verifyAlone()).problems).toEqual([expect.stringMatching(/^No tensor is quantized, so this is no converted file,/)]);
  });

  it('a kept layer that quantization_config does not name, and a quantized one that it does', async () => {
    const block = { granularity: 'block', blockSize: [200, 64] } as const;
    const recipe = await convert({ layout: 'huggingface', ...block, overrides: [{ match: 'b.weight', action: 'keep' }] });
    expect(problemsOf(await scene.verify())).toEqual([]);
    const config = { quant_method: 'fp8', weight_block_size: recipe.blockSize, modules_to_not_convert: ['a'] };
    await writeConfig(config);
    expect([...problemsOf(await scene.verify())].sort()).toEqual([
      'a: it is quantized, but modules_to_not_convert in config.json names it.',
      'b: it is not quantized, but modules_to_not_convert in config.json does not name it.',
    ]);
    await writeConfig({ ...config, modules_to_not_convert: ['b'], weight_block_size: [64, 64] });
    expect(problemsOf(await scene.verify())).toEqual([
      'odd: it has one scale for the whole tensor, and weight_block_size in config.json is [64,64].',
      'a: it has one scale for each block of 200 × 64, and weight_block_size in config.json is [64,64].',
    ]);
    await writeConfig({ quant_method: 'bitsandbytes' });
    expect(problemsOf(await scene.verify())).toEqual(['quant_method in config.json is "bitsandbytes" instead of "fp8".']);
  });

  it('no config.json is a warning', async () => {
    await writeModel(scene.source, MODEL);
    await scene.convert(scene.request({}, { layout: 'compressed-tensors' }));
    const report = await scene.verify();
    expect(report.ok).toBe(true);
    expect(report.warnings).toEqual([expect.stringMatching(/no config\.json with quantization_config/)]);
  });
});
