/** The forward pass of a LLaMA-shaped language model on plain F32 arrays: RMS norms, rotary attention, SiLU-gated MLP, no biases. */
import { weightValues } from './dequantize';
import { dot, matrix, timesTransposed, type Matrix } from './matrix';
import { findTensor, type TensorFile } from './tensorFile';

export interface LlamaConfig {
  readonly layers: number;
  readonly heads: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
}

export interface LlamaLayer {
  readonly inputNorm: Float32Array;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly attentionOutput: Matrix;
  readonly mlpNorm: Float32Array;
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

export interface Llama {
  readonly config: LlamaConfig;
  readonly embedding: Matrix;
  readonly layers: readonly LlamaLayer[];
  readonly norm: Float32Array;
  readonly head: Matrix;
}

/** Takes the sizes from the file's metadata and dequantizes its weights. */
export function loadLlama(file: TensorFile): Llama {
  const config: LlamaConfig = {
    layers: metadataNumber(file, 'num_hidden_layers'),
    heads: metadataNumber(file, 'num_attention_heads'),
    ropeTheta: metadataNumber(file, 'rope_theta'),
    normEpsilon: metadataNumber(file, 'rms_norm_eps'),
  };
  return {
    config,
    embedding: loadMatrix(file, 'model.embed_tokens.weight'),
    layers: Array.from({ length: config.layers }, (_, index) => loadLayer(file, `model.layers.${index}.`)),
    norm: weightValues(file, 'model.norm.weight'),
    head: loadMatrix(file, 'lm_head.weight'),
  };
}

/** Logits (tokens × vocabulary) of the next token after each of `tokens`. */
export function forward(model: Llama, tokens: Uint8Array): Matrix {
  const { config } = model;
  const residual = embed(model.embedding, tokens);
  for (const layer of model.layers) {
    const attentionInput = rmsNorm(residual, layer.inputNorm, config.normEpsilon);
    addTo(residual, timesTransposed(attention(attentionInput, layer, config), layer.attentionOutput));
    const mlpInput = rmsNorm(residual, layer.mlpNorm, config.normEpsilon);
    addTo(residual, timesTransposed(gated(timesTransposed(mlpInput, layer.gate), timesTransposed(mlpInput, layer.up)), layer.down));
  }
  return timesTransposed(rmsNorm(residual, model.norm, config.normEpsilon), model.head);
}

function loadLayer(file: TensorFile, prefix: string): LlamaLayer {
  return {
    inputNorm: weightValues(file, `${prefix}input_layernorm.weight`),
    query: loadMatrix(file, `${prefix}self_attn.q_proj.weight`),
    key: loadMatrix(file, `${prefix}self_attn.k_proj.weight`),
    value: loadMatrix(file, `${prefix}self_attn.v_proj.weight`),
    attentionOutput: loadMatrix(file, `${prefix}self_attn.o_proj.weight`),
    mlpNorm: weightValues(file, `${prefix}post_attention_layernorm.weight`),
    gate: loadMatrix(file, `${prefix}mlp.gate_proj.weight`),
    up: loadMatrix(file, `${prefix}mlp.up_proj.weight`),
    down: loadMatrix(file, `${prefix}mlp.down_proj.weight`),
  };
}

function loadMatrix(file: TensorFile, name: string): Matrix {
  const [rows = 0, columns = 0] = findTensor(file, name).shape;
  return matrix(rows, columns, weightValues(file, name));
}

function metadataNumber(file: TensorFile, key: string): number {
  const value = Number(file.header.metadata.get(key) ?? NaN);
  if (Number.isNaN(value)) throw new Error(`${file.path} does not say ${key} in its metadata.`);
  return value;
}

function embed(embedding: Matrix, tokens: Uint8Array): Matrix {
  const width = embedding.columns;
  const result = matrix(tokens.length, width);
  tokens.forEach((token, position) => result.values.set(embedding.values.subarray(token * width, (token + 1) * width), position * width));
  return result;
}

function addTo(target: Matrix, addend: Matrix): void {
  for (let i = 0; i < target.values.length; i += 1) target.values[i] = target.values[i]! + addend.values[i]!;
}

function rmsNorm(x: Matrix, gain: Float32Array, epsilon: number): Matrix {
  const result = matrix(x.rows, x.columns);
  for (let row = 0; row < x.rows; row += 1) {
    const start = row * x.columns;
    const factor = 1 / Math.sqrt(dot(x.values, start, x.values, start, x.columns) / x.columns + epsilon);
    for (let i = 0; i < x.columns; i += 1) result.values[start + i] = x.values[start + i]! * factor * gain[i]!;
  }
  return result;
}

/** silu(gate) · up, element by element. */
function gated(gate: Matrix, up: Matrix): Matrix {
  const values = gate.values.map((value, index) => (value / (1 + Math.exp(-value))) * up.values[index]!);
  return matrix(gate.rows, gate.columns, values);
}

/** Causal attention of all heads, without the output projection: tokens × width. */
function attention(x: Matrix, layer: LlamaLayer, config: LlamaConfig): Matrix {
  const query = timesTransposed(x, layer.query);
  const key = timesTransposed(x, layer.key);
  const value = timesTransposed(x, layer.value);
  const headSize = query.columns / config.heads;
  rotate(query, headSize, config.ropeTheta);
  rotate(key, headSize, config.ropeTheta);
  const result = matrix(x.rows, query.columns);
  const weights = new Float64Array(x.rows);
  for (let position = 0; position < x.rows; position += 1) {
    for (let start = 0; start < query.columns; start += headSize) {
      attendFrom(position, start, headSize, query, key, weights);
      const out = position * result.columns + start;
      for (let i = 0; i < headSize; i += 1) {
        let sum = 0;
        for (let past = 0; past <= position; past += 1) sum += weights[past]! * value.values[past * value.columns + start + i]!;
        result.values[out + i] = sum;
      }
    }
  }
  return result;
}

/** Softmax over the past of one position and head, into `weights[0..position]`. */
function attendFrom(position: number, start: number, headSize: number, query: Matrix, key: Matrix, weights: Float64Array): void {
  const from = position * query.columns + start;
  let largest = -Infinity;
  for (let past = 0; past <= position; past += 1) {
    const score = dot(query.values, from, key.values, past * key.columns + start, headSize) / Math.sqrt(headSize);
    weights[past] = score;
    largest = Math.max(largest, score);
  }
  let total = 0;
  for (let past = 0; past <= position; past += 1) {
    const weight = Math.exp(weights[past]! - largest);
    weights[past] = weight;
    total += weight;
  }
  for (let past = 0; past <= position; past += 1) weights[past] = weights[past]! / total;
}

/** Rotary position embedding over the two halves of every head, in place. Su et al., arXiv:2104.09864. */
function rotate(x: Matrix, headSize: number, theta: number): void {
  const half = headSize / 2;
  for (let position = 0; position < x.rows; position += 1) {
    for (let i = 0; i < half; i += 1) {
      const angle = position / theta ** (i / half);
      const cosine = Math.cos(angle);
      const sine = Math.sin(angle);
      for (let start = position * x.columns; start < (position + 1) * x.columns; start += headSize) {
        const first = x.values[start + i]!;
        const second = x.values[start + half + i]!;
        x.values[start + i] = first * cosine - second * sine;
        x.values[start + half + i] = second * cosine + first * sine;
      }
    }
  }
}
