// Samples that are sent through a model and say nothing, by the engine in its own process: the layers that they do not tell of go by their weights.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { previewOf } from '../../../support/previewOf';
import { engineScene } from '../../../support/engineScene';
import { writeModel, type ModelTensor } from '../../../support/modelFile';

const scene = engineScene();
const WIDTH = 64;
const INNER = 96;
const LAYER = 'model.layers.0.';
const OUT = `${LAYER}self_attn.o_proj`;

/** LLaMA with a bias behind its attention, which a mean input would correct. */
function llama(value: 'as it is' | 'all zero' | 'beyond F32'): readonly ModelTensor[] {
  const matrix = (name: string, rows: number, columns: number): ModelTensor => ({ name, dtype: 'BF16', shape: [rows, columns] });
  const filled = (count: number, number: number) => Array.from({ length: count }, (_, index) => ({ index, value: number }));
  return [
    matrix('model.embed_tokens.weight', 128, WIDTH),
    ...['input_layernorm', 'post_attention_layernorm'].map((name): ModelTensor => ({
      name: `${LAYER}${name}.weight`,
      dtype: 'F32',
      shape: [WIDTH],
    })),
    ...['q_proj', 'k_proj'].map((name) => matrix(`${LAYER}self_attn.${name}.weight`, WIDTH, WIDTH)),
    { ...matrix(`${LAYER}self_attn.v_proj.weight`, WIDTH, WIDTH), ...(value === 'all zero' ? { replace: filled(WIDTH ** 2, 0) } : {}) },
    matrix(`${OUT}.weight`, WIDTH, WIDTH),
    { name: `${OUT}.bias`, dtype: 'F32', shape: [WIDTH] },
    ...['gate_proj', 'up_proj'].map((name) => ({
      ...matrix(`${LAYER}mlp.${name}.weight`, INNER, WIDTH),
      ...(value === 'beyond F32' ? { replace: filled(INNER * WIDTH, 1e30) } : {}),
    })),
    matrix(`${LAYER}mlp.down_proj.weight`, WIDTH, INNER),
    { name: 'model.norm.weight', dtype: 'F32', shape: [WIDTH] },
  ];
}

async function convert(value: 'as it is' | 'all zero' | 'beyond F32', calibration?: readonly ModelTensor[]) {
  await writeModel(scene.source, llama(value));
  const path = join(scene.folder, 'calibration.safetensors');
  if (calibration !== undefined) await writeModel(path, calibration);
  const recipe = { calibSamples: 512, ...(calibration === undefined ? {} : { calibration: path }) };
  const events = await scene.run(scene.request({ overwrite: 'replace' }, recipe));
  const end = events.at(-1);
  if (end?.type !== 'done') throw new Error(`the conversion ended in ${JSON.stringify(end)}`);
  return {
    notes: end.report.notes,
    sent: events.flatMap((event) => (event.type === 'log' && event.message.startsWith('sending') ? [event.message] : [])),
    tensor: (name: string) => end.report.tensors.find((tensor) => tensor.name === name),
  };
}

it('rounds what only zeros reach by its weights, says so, and leaves its bias alone', async () => {
  const whole = await convert('as it is');
  expect(whole.tensor(`${OUT}.weight`)?.statistics).toMatchObject({ inputs: 'propagated', mean: 'propagated' });
  expect(whole.tensor(`${OUT}.bias`)?.correction).toBeDefined();

  const { tensor, notes } = await convert('all zero');
  expect(tensor(`${OUT}.weight`)?.statistics).toMatchObject({
    inputs: 'gram',
    mean: 'unknown',
    reason: 'Gram: samples that go through the model reach it as zeros.',
  });
  expect(tensor(`${OUT}.bias`)).not.toHaveProperty('correction');
  expect(tensor(`${LAYER}mlp.down_proj.weight`)?.statistics).toMatchObject({ inputs: 'propagated' });
  expect(notes.join('\n')).toContain(`nothing better than nearest for "${LAYER}self_attn.v_proj.weight"`);
});

it('rounds what samples overflow before by its weights, and says so', async () => {
  const { tensor } = await convert('beyond F32');
  expect(tensor(`${LAYER}mlp.down_proj.weight`)?.statistics).toMatchObject({
    inputs: 'gram',
    reason: 'Gram: samples that go through the model overflow on the way to it.',
  });
  expect(tensor(`${LAYER}mlp.up_proj.weight`)?.statistics).toMatchObject({ inputs: 'propagated' });
});

it('sends samples through the model beside few recorded ones, and none beside enough of them', async () => {
  const inputs = (samples: number): readonly ModelTensor[] =>
    llama('as it is').flatMap(({ name, shape: [, columns = 0] }): ModelTensor[] =>
      name.endsWith('_proj.weight') ? [{ name: name.replace(/weight$/, 'input'), dtype: 'F32', shape: [samples, columns] }] : [],
    );
  const few = await convert('as it is', inputs(8 * INNER - 1));
  expect(few.sent).toEqual(['sending 512 samples through the model, for 1 matrix']);
  expect(few.tensor(`${LAYER}mlp.down_proj.weight`)?.statistics).toMatchObject({ inputs: 'calibrated', beside: 'propagated' });
  expect(few.tensor(`${OUT}.weight`)?.statistics).not.toHaveProperty('beside');
  expect((await convert('as it is', inputs(8 * INNER))).sent).toEqual([]);
});

it('reads a calibration file before a preview goes by it', async () => {
  await writeModel(scene.source, llama('as it is'));
  const calibration = join(scene.folder, 'calibration.safetensors');
  const name = `${OUT}.input`;
  const samples: ModelTensor = { name, dtype: 'F32', shape: [9, WIDTH] };
  await writeModel(calibration, [{ ...samples, replace: [{ index: 3, value: NaN }] }]);
  await expect(previewOf(scene, `${OUT}.weight`, { calibration })).rejects.toThrow(`"${name}" has 1 value that is NaN`);
  // What another layer's inputs are like does not matter to it.
  expect((await previewOf(scene, `${LAYER}mlp.up_proj.weight`, { calibration })).rounding).toBe('learned');

  const zeros = Array.from({ length: 9 * WIDTH }, (_, index) => ({ index, value: 0 }));
  await writeModel(calibration, [{ ...samples, replace: zeros }]);
  const silent = await previewOf(scene, `${OUT}.weight`, { calibration });
  expect(silent.objectiveRatio).toBe((await previewOf(scene, `${OUT}.weight`)).objectiveRatio);
});
