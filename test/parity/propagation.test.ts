// Samples sent through small models of each known build, beside the same layers computed plainly. The tables' rows are all alike, so that
// every sample is the same vector, and what reaches a layer can be told exactly.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { feedersOf } from '../../src/engine/families/feeders';
import type { FamilyId } from '../../src/engine/families/families';
import type { Recognition } from '../../src/engine/families/recognise';
import { propagate } from '../../src/engine/job/propagate';
import type { Quantizer } from '../../src/engine/job/quantizer';
import { loadBinding } from '../../src/engine/native/loadBinding';
import { NativeQuantizer } from '../../src/engine/native/nativeQuantizer';
import { defaultRecipe } from '../../src/engine/plan/recipe';
import { layOut } from '../../src/engine/safetensors/layout';
import { parseHeader } from '../../src/engine/safetensors/parseHeader';
import { temporaryFolder, type TemporaryFolder } from '../support/temporaryFolder';

type Vector = readonly number[];

/** A model that grows as its layers are asked for: values by a fixed rule, or rows that are all alike. */
class SmallModel {
  readonly tensors = new Map<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>();

  values(name: string, shape: readonly number[], of: (index: number) => number): Vector {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Array.from({ length: count }, (_, index) => Math.fround(of(index)));
    this.tensors.set(name, { shape, values });
    return values;
  }

  vector(name: string, size: number, centre = 0): Vector {
    const phase = this.tensors.size;
    return this.values(name, [size], (index) => centre + 0.3 * Math.sin(1.7 * index + phase));
  }

  /** Returns one of its equal rows. */
  table(name: string, shape: readonly number[]): Vector {
    const width = shape.at(-1) ?? 0;
    const phase = this.tensors.size;
    return this.values(name, shape, (index) => Math.cos(2.3 * (index % width) + phase)).slice(0, width);
  }

  linear(name: string, rows: number, columns: number, bias: 'bias' | 'no bias'): (x: Vector) => Vector {
    const phase = this.tensors.size;
    const weight = this.values(`${name}.weight`, [rows, columns], (index) => 0.4 * Math.sin(0.9 * index + phase));
    const offset = bias === 'bias' ? this.vector(`${name}.bias`, rows) : Array.from({ length: rows }, () => 0);
    return (x) =>
      offset.map((value, row) => value + x.reduce((sum, each, column) => sum + each * (weight[row * columns + column] ?? NaN), 0));
  }

  async write(path: string) {
    const list = [...this.tensors].map(([name, { shape, values }]) => ({ name, dtype: 'F32' as const, shape, values }));
    const layout = layOut(
      list.map((tensor) => ({ ...tensor, byteLength: 4 * tensor.values.length })),
      new Map(),
    );
    const bytes = new Uint8Array(layout.fileSize);
    bytes.set(layout.headerBytes);
    for (const { begin, values } of layout.tensors)
      new Uint8Array(bytes.buffer).set(new Uint8Array(Float32Array.from(values).buffer), begin);
    await writeFile(path, bytes);
    return parseHeader(bytes, bytes.length);
  }
}

const plus = (a: Vector, b: Vector): Vector => a.map((value, index) => value + (b[index] ?? NaN));
const times = (a: Vector, b: Vector): Vector => a.map((value, index) => value * (b[index] ?? NaN));
const silu = (x: number): number => x / (1 + Math.exp(-x));
const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const quickGelu = (x: number): number => x / (1 + Math.exp(-1.702 * x));

function rmsNorm(x: Vector, gain: Vector): Vector {
  const root = Math.sqrt(x.reduce((sum, each) => sum + each * each, 0) / x.length);
  return x.map((value, index) => (value / root) * (gain[index] ?? NaN));
}

function layerNorm(x: Vector, gain: Vector, bias: Vector): Vector {
  const mean = x.reduce((sum, each) => sum + each, 0) / x.length;
  return plus(
    rmsNorm(
      x.map((value) => value - mean),
      gain,
    ),
    bias,
  );
}

const ones = (size: number): Vector => Array.from({ length: size }, () => 1);
const zeros = (size: number): Vector => Array.from({ length: size }, () => 0);
const part = (x: Vector, index: number, width: number): Vector => x.slice(index * width, (index + 1) * width);

/** What reaches each layer, by the weight's name. */
type Inputs = Map<string, Vector>;

function decoder(model: SmallModel, layers: number): Inputs {
  const [width, inner, heads, keys, size] = [8, 12, 4, 2, 2];
  const reached: Inputs = new Map();
  let x = model.table('model.embed_tokens.weight', [5, width]);
  for (let index = 0; index < layers; index += 1) {
    const at = `model.layers.${index}.`;
    const enters = (name: string, rows: number, input: Vector): Vector => {
      reached.set(`${at}${name}.weight`, input);
      return model.linear(at + name, rows, input.length, 'no bias')(input);
    };
    const first = rmsNorm(x, model.vector(`${at}input_layernorm.weight`, width, 1));
    enters('self_attn.q_proj', heads * size, first);
    enters('self_attn.k_proj', keys * size, first);
    // A head of 2 values: told by the norm of queries.
    model.vector(`${at}self_attn.q_norm.weight`, size, 1);
    const value = enters('self_attn.v_proj', keys * size, first);
    const repeated = [0, 0, 1, 1].flatMap((head) => part(value, head, size));
    x = plus(x, enters('self_attn.o_proj', width, repeated));
    const second = rmsNorm(x, model.vector(`${at}post_attention_layernorm.weight`, width, 1));
    const gated = times(enters('mlp.gate_proj', inner, second).map(silu), enters('mlp.up_proj', inner, second));
    x = plus(x, enters('mlp.down_proj', width, gated));
  }
  return reached;
}

function t5Encoder(model: SmallModel, layers: number): Inputs {
  const [width, inner] = [6, 10];
  const reached: Inputs = new Map();
  let x = model.table('shared.weight', [7, width]);
  for (let index = 0; index < layers; index += 1) {
    const at = `encoder.block.${index}.`;
    const enters = (name: string, rows: number, input: Vector): Vector => {
      reached.set(`${at}${name}.weight`, input);
      return model.linear(at + name, rows, input.length, 'no bias')(input);
    };
    const first = rmsNorm(x, model.vector(`${at}layer.0.layer_norm.weight`, width, 1));
    enters('layer.0.SelfAttention.q', 8, first);
    enters('layer.0.SelfAttention.k', 8, first);
    x = plus(x, enters('layer.0.SelfAttention.o', width, enters('layer.0.SelfAttention.v', 8, first)));
    const second = rmsNorm(x, model.vector(`${at}layer.1.layer_norm.weight`, width, 1));
    const up = enters('layer.1.DenseReluDense.wi_1', inner, second);
    const gated = times(enters('layer.1.DenseReluDense.wi_0', inner, second).map(geluTanh), up);
    x = plus(x, enters('layer.1.DenseReluDense.wo', width, gated));
  }
  return reached;
}

function clipEncoder(model: SmallModel, layers: number): Inputs {
  const [width, inner] = [6, 14];
  const reached: Inputs = new Map();
  const tokens = model.table('text_model.embeddings.token_embedding.weight', [9, width]);
  let x = plus(tokens, model.table('text_model.embeddings.position_embedding.weight', [4, width]));
  for (let index = 0; index < layers; index += 1) {
    const at = `text_model.encoder.layers.${index}.`;
    const enters = (name: string, rows: number, input: Vector): Vector => {
      reached.set(`${at}${name}.weight`, input);
      return model.linear(at + name, rows, input.length, 'bias')(input);
    };
    const norm = (name: string): Vector =>
      layerNorm(x, model.vector(`${at}${name}.weight`, width, 1), model.vector(`${at}${name}.bias`, width));
    const first = norm('layer_norm1');
    enters('self_attn.q_proj', width, first);
    enters('self_attn.k_proj', width, first);
    x = plus(x, enters('self_attn.out_proj', width, enters('self_attn.v_proj', width, first)));
    x = plus(x, enters('mlp.fc2', width, enters('mlp.fc1', inner, norm('layer_norm2')).map(quickGelu)));
  }
  return reached;
}

/** Noise and moment meet zero weights here, so that biases alone are left of them. */
function modulatedTransformer(model: SmallModel, layers: number): Inputs {
  const [width, inner] = [6, 14];
  const reached: Inputs = new Map();
  model.values('x_embedder.proj.weight', [width, 1, 2, 2], () => 0);
  let x = plus(model.vector('x_embedder.proj.bias', width), model.table('pos_embed', [1, 4, width]));
  model.values('t_embedder.mlp.0.weight', [10, 8], () => 0);
  const moment = model.linear('t_embedder.mlp.2', width, 10, 'bias')(model.vector('t_embedder.mlp.0.bias', 10).map(silu));
  const condition = plus(moment, model.table('y_embedder.embedding_table.weight', [3, width])).map(silu);
  for (let index = 0; index < layers; index += 1) {
    const at = `blocks.${index}.`;
    const enters = (name: string, rows: number, input: Vector): Vector => {
      reached.set(`${at}${name}.weight`, input);
      return model.linear(at + name, rows, input.length, 'bias')(input);
    };
    const made = enters('adaLN_modulation.1', 6 * width, condition);
    const modulated = (shift: number, scale: number): Vector => {
      const normed = layerNorm(x, ones(width), zeros(width));
      return plus(times(normed, plus(ones(width), part(made, scale, width))), part(made, shift, width));
    };
    const value = part(enters('attn.qkv', 3 * width, modulated(0, 1)), 2, width);
    x = plus(x, times(part(made, 2, width), enters('attn.proj', width, value)));
    const hidden = enters('mlp.fc1', inner, modulated(3, 4)).map(geluTanh);
    x = plus(x, times(part(made, 5, width), enters('mlp.fc2', width, hidden)));
  }
  reached.set('final_layer.adaLN_modulation.1.weight', condition);
  model.linear('final_layer.adaLN_modulation.1', 2 * width, width, 'bias');
  return reached;
}

const BUILDS: readonly {
  readonly title: string;
  readonly family: FamilyId | 'unknown';
  readonly build: (model: SmallModel, layers: number) => Inputs;
  readonly lastLayer: string;
}[] = [
  { title: 'a decoder with shared heads', family: 'qwen3', build: decoder, lastLayer: 'model.layers.2.mlp.down_proj.weight' },
  { title: 'a T5 encoder', family: 't5', build: t5Encoder, lastLayer: 'encoder.block.2.layer.1.DenseReluDense.wo.weight' },
  { title: 'a CLIP text encoder', family: 'clip-l', build: clipEncoder, lastLayer: 'text_model.encoder.layers.2.mlp.fc2.weight' },
  { title: 'a diffusion transformer', family: 'unknown', build: modulatedTransformer, lastLayer: 'blocks.2.mlp.fc2.weight' },
];

let folder: TemporaryFolder;
let quantizer: Quantizer;
beforeAll(async () => {
  folder = await temporaryFolder();
  quantizer = new NativeQuantizer(loadBinding(resolve('dist')));
});
afterAll(() => folder[Symbol.asyncDispose]());

function recognised(family: FamilyId | 'unknown'): Recognition {
  const common = { prefix: '', evidence: [], tensorCount: 0 };
  const components = family === 'unknown' ? [] : [{ ...common, family, naming: 'original' as const }];
  return { family, prefix: '', naming: 'unknown', evidence: [], components, unrecognised: { tensorCount: 0, examples: [] } };
}

async function statisticsOf(model: SmallModel, family: FamilyId | 'unknown', samples = 16) {
  const source = join(folder.path, `${family}.safetensors`);
  const header = await model.write(source);
  const feeders = feedersOf(header, recognised(family));
  const statistics = join(folder.path, `${family}-statistics`);
  const files = { sources: [source], statistics, index: 1 };
  const recipe = { ...defaultRecipe(), calibSamples: samples };
  const signal = new AbortController().signal;
  const found = await propagate(feeders, feeders.reached, new Map(), files, { recipe, quantizer, device: 'cpu', threads: 1, signal });
  const bytes = await readFile(statistics);
  await rm(statistics);
  const floats = (offset: number, length: number): Vector =>
    Array.from({ length: length / 4 }, (_, index) => bytes.readFloatLE(offset + 4 * index));
  return {
    reached: feeders.reached,
    mean: (weight: string): Vector => {
      const { offset = 0, length = 0 } = found.means.get(weight)?.range ?? {};
      return floats(offset, length);
    },
    secondMoment: (weight: string): Vector => {
      const input = found.byWeight.get(weight);
      if (input?.kind !== 'secondMoment') throw new Error(`${weight} has no second moment`);
      return floats(input.values.range.offset, input.values.range.length);
    },
  };
}

describe.each(BUILDS)('samples sent through $title', ({ family, build, lastLayer }) => {
  test('reach every layer with the values that it sees', async () => {
    const model = new SmallModel();
    const expected = build(model, 3);
    const { reached, mean } = await statisticsOf(model, family);
    expect([...reached].sort()).toEqual([...expected.keys()].sort());
    for (const [weight, input] of expected) {
      const found = mean(weight);
      expect(found.length, weight).toBe(input.length);
      for (const [index, value] of input.entries()) expect(found[index], `${weight} at ${index}`).toBeCloseTo(value, 3);
    }
  });

  test('end before a layer that is built otherwise', async () => {
    const model = new SmallModel();
    const expected = build(model, 3);
    const { shape, values } = model.tensors.get(lastLayer) ?? { shape: [], values: [] };
    const [rows = 0, columns = 0] = shape;
    model.tensors.set(lastLayer, { shape: [rows, columns - 1], values: values.slice(rows) });
    const { reached } = await statisticsOf(model, family);
    const place = lastLayer.slice(0, lastLayer.indexOf('.2.') + 3);
    expect([...reached].sort()).toEqual([...expected.keys()].filter((name) => !name.startsWith(place)).sort());
  });
});

test('a diffusion transformer starts from noise and from moments as it embeds them', async () => {
  const model = new SmallModel();
  modulatedTransformer(model, 1);
  const width = 4;
  const identity = (name: string, size: number): Vector =>
    model.values(name, [size, size], (index) => (Math.floor(index / size) === index % size ? 1 : 0));
  model.tensors.clear();
  // The stream is noise alone and its modulation nothing; the condition is silu(silu(cosines and sines)).
  identity('x_embedder.weight', width);
  model.values('pos_embed', [1, width], () => 0);
  identity('t_embedder.0.weight', width);
  identity('t_embedder.2.weight', width);
  model.values('blocks.0.adaLN_modulation.1.weight', [6 * width, width], () => 0);
  model.linear('blocks.0.attn.qkv', 3 * width, width, 'no bias');
  model.linear('blocks.0.attn.proj', width, width, 'no bias');
  model.linear('blocks.0.mlp.fc1', 8, width, 'no bias');
  model.linear('blocks.0.mlp.fc2', width, 8, 'no bias');
  const samples = 8192;
  const { mean, secondMoment } = await statisticsOf(model, 'unknown', samples);

  // A layer norm of four independent normal values: no mean, variance 1, and −1 ÷ 3 between any two.
  const normed = secondMoment('blocks.0.attn.qkv.weight');
  for (const [index, value] of normed.entries()) {
    expect(value).toBeCloseTo(Math.floor(index / width) === index % width ? 1 : -1 / 3, 1);
  }
  // Over moments between 0 and 1000: cos t and sin t run through whole circles; at a hundredth of that speed 1.6 of them.
  const moments = Array.from({ length: 10_000 }, (_, index) => (index + 0.5) / 10);
  const average = (feature: (t: number) => number): number => moments.reduce((sum, t) => sum + silu(silu(feature(t))), 0) / moments.length;
  const expected = [Math.cos, (t: number) => Math.cos(t / 100), Math.sin, (t: number) => Math.sin(t / 100)].map(average);
  for (const [index, value] of mean('blocks.0.adaLN_modulation.1.weight').entries()) expect(value).toBeCloseTo(expected[index] ?? NaN, 1);
});
