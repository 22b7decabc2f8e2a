/** What `verify` finds where config.json beside a file says of its layers what they are not. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { quantizationConfig } from '../../../../src/engine/plan/quantizationConfig';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';
import { readHeader } from '../../../../src/engine/safetensors/reader';

const scene = engineScene();

const MODEL: readonly ModelTensor[] = [
  { name: 'model.layers.0.mlp.down_proj.weight', dtype: 'BF16', shape: [256, 128] },
  { name: 'model.layers.1.mlp.down_proj.weight', dtype: 'BF16', shape: [256, 128] },
  { name: 'lm_head.weight', dtype: 'BF16', shape: [128, 64] },
];
const FIRST = 'model.layers.0.mlp.down_proj';
const SECOND = 'model.layers.1.mlp.down_proj';

type Json = Record<string, unknown>;
type Group = Json & { readonly weights: Json };

/** Converts, and writes the configuration as `change` leaves it; what verify finds of the file. */
async function found(recipe: Partial<Recipe>, change: (config: Json, groups: Record<string, Group>) => void) {
  await writeModel(scene.source, MODEL);
  const whole = defaultRecipe({ rounding: 'nearest', ...recipe });
  await scene.convert(scene.request({ recipe: whole, overwrite: 'replace' }));
  const made = quantizationConfig(makePlan(await readHeader(scene.source), whole, { toolVersion: '1' }));
  const config = JSON.parse(JSON.stringify(made)) as Json;
  change(config, (config['config_groups'] ?? {}) as Record<string, Group>);
  await writeFile(join(scene.folder, 'config.json'), JSON.stringify({ quantization_config: config }));
  const { problems, warnings, tensors } = await scene.verify();
  expect((await scene.verifyAlone()).problems).toEqual(problems);
  return { problems: [...problems, ...tensors.flatMap((tensor) => tensor.problems)], warnings };
}

const LAYOUT = { layout: 'compressed-tensors' } as const;
const BLOCKS = { ...LAYOUT, granularity: 'block', blockSize: [64, 64] } as const;
const GROUP = 'config_groups.group_0 in config.json';

describe('config_groups', () => {
  it.each<[string, Partial<Recipe>, (group: Group, groups: Record<string, Group>) => void, string]>([
    [
      'another type',
      LAYOUT,
      ({ weights }) => (weights['type'] = 'int'),
      `its codes are float of 8 bits (float8_e4m3fn), and ${GROUP} says "int" of 8.`,
    ],
    [
      'other bits',
      LAYOUT,
      ({ weights }) => (weights['num_bits'] = 4),
      `its codes are float of 8 bits (float8_e4m3fn), and ${GROUP} says "float" of 4.`,
    ],
    [
      'another strategy',
      LAYOUT,
      ({ weights }) => (weights['strategy'] = 'tensor'),
      `it has one scale for each row, and ${GROUP} says strategy "tensor".`,
    ],
    [
      'other blocks',
      BLOCKS,
      ({ weights }) => (weights['block_structure'] = [128, 64]),
      `it has one scale for each block of 64 × 64, and ${GROUP} says strategy "block" of [128,64].`,
    ],
    [
      'other groups',
      { ...LAYOUT, target: 'nvfp4' },
      ({ weights }) => (weights['group_size'] = 32),
      `it has one scale for each block of 1 × 16, and ${GROUP} says strategy "tensor_group" of 32.`,
    ],
    [
      'another format',
      LAYOUT,
      (group) => (group['format'] = 'int-quantized'),
      `it is stored as "float-quantized", and ${GROUP} says "int-quantized".`,
    ],
    [
      'layers of another kind',
      LAYOUT,
      (group) => (group['targets'] = ['Conv2d']),
      'it is quantized, and config_groups in config.json have no target for it, so its scales are not read.',
    ],
  ])('say %s', async (_what, recipe, change, problem) => {
    const { problems } = await found(recipe, (_, groups) => change(groups['group_0']!, groups));
    expect(problems).toEqual([`${FIRST}: ${problem} So it is with 1 other.`]);
  });

  it('are looked at by name and pattern before the kind of layer', async () => {
    const overrides = [{ match: `${SECOND}.weight`, action: 'quantize', target: 'int8' }] as const;
    const recipe = { ...LAYOUT, overrides };
    expect((await found(recipe, () => undefined)).problems).toEqual([]);
    const patterned = await found(recipe, (_, { group_1 }) => (group_1!['targets'] = ['re:.*LAYERS.1.*', 're:(?i)MODEL.*\\.1\\.mlp']));
    expect(patterned.problems).toEqual([]);
    const unnamed = await found(recipe, (_, { group_1 }) => (group_1!['targets'] = []));
    expect(unnamed.problems.map((text) => text.replace(/:.*/s, ''))).toEqual([SECOND, SECOND]);
  });

  it('may say the same in other words', async () => {
    const nothing = { problems: [], warnings: [] };
    expect(await found(LAYOUT, (_, { group_0 }) => (group_0!['format'] = 'naive-quantized'))).toEqual(nothing);
    const larger = { ...LAYOUT, granularity: 'block', blockSize: [256, 128] } as const;
    const block = await found(larger, (_, { group_0 }) => (group_0!.weights['block_structure'] = [512, 128]));
    expect(block.problems).toEqual([]);
    const inherited = (config: Json, { group_0 }: Record<string, Group>): void => {
      delete group_0!['format'];
      config['format'] = 'float-quantized';
    };
    expect(await found(LAYOUT, inherited)).toEqual(nothing);
  });
});

describe('patterns of layers', () => {
  it('are read as Python reads them', async () => {
    for (const pattern of ['re:(?i).*LM_HEAD', 're:(?P<head>lm)_head\\Z', 're:\\Alm_'])
      expect(await found(LAYOUT, (config) => (config['ignore'] = [pattern]))).toEqual({ problems: [], warnings: [] });
    const { problems } = await found(LAYOUT, (config) => (config['ignore'] = ['re:LM_HEAD']));
    expect(problems).toEqual(['lm_head: it is not quantized, but ignore in config.json does not name it.']);
  });

  it('are named where they cannot be read, and the rest is checked', async () => {
    const { problems, warnings } = await found(LAYOUT, (config, { group_0 }) => {
      config['ignore'] = ['re:(?x) lm_head ('];
      group_0!.weights['num_bits'] = 4;
    });
    expect(warnings).toEqual([
      'ignore in config.json has the pattern "re:(?x) lm_head (", which is no regular expression here: which layers it names was not checked.',
    ]);
    expect(problems).toEqual([expect.stringContaining('says "float" of 4')]);
  });
});

it('weight_block_size holds for every layer, and may be larger than one', async () => {
  const recipe = { layout: 'huggingface', granularity: 'block', blockSize: [256, 128] } as const;
  expect((await found(recipe, () => undefined)).problems).toEqual([]);
  const [tall, missing] = [
    await found(recipe, (config) => (config['weight_block_size'] = [128, 128])),
    await found({ ...recipe, blockSize: [64, 64] }, (config) => delete config['weight_block_size']),
  ];
  expect(tall.problems).toEqual([
    expect.stringMatching(/^model.*weight_block_size in config\.json is \[128,128\]\. So it is with 1 other\.$/),
  ]);
  expect(missing.problems).toEqual([
    expect.stringMatching(/^model.*64 × 64, and weight_block_size in config\.json is missing\. So it is with 1 other\.$/),
  ]);
  expect(await readFile(join(scene.folder, 'config.json'), 'utf8')).not.toContain('weight_block_size');
});
