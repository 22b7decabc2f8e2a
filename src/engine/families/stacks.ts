/** stacks: how the layers of known families are built, as data: names after the layer's own prefix, without `.weight`. */
import type { FamilyId } from './families';

export type Activation = 'silu' | 'gelu' | 'geluTanh' | 'quickGelu';

export interface Stack {
  readonly families: readonly (FamilyId | 'unknown')[];
  /** What stands between a component's prefix and its names; of several, those that are there. */
  readonly stems: readonly string[];
  /** What is added up before the first layer; of each, the first name that is there. */
  readonly tables: readonly (readonly string[])[];
  /** The prefix of a layer's names, `{}` for its number. */
  readonly layer: string;
  readonly norm: 'rmsNorm' | 'layerNorm';
  readonly attention: {
    readonly norm: string;
    readonly readers: readonly string[];
    readonly value: string;
    readonly out: string;
    readonly queryNorm?: string;
  };
  /** down(activation(gate x) · up x), or down(activation(up x)) without a gate. */
  readonly feedForward: {
    readonly norm: string;
    readonly gate?: string;
    readonly up: string;
    readonly down: string;
    readonly activation: Activation;
  };
}

/** Blocks without weights in their norms: x + gate · f(norm(x) · (1 + scale) + shift), where a layer makes shift, scale and gate of the condition. */
export interface ModulatedStack {
  readonly families: readonly (FamilyId | 'unknown')[];
  /** What makes the residual stream of noise; a convolution of patches is a matrix as well; the first that is there. */
  readonly input: readonly string[];
  /** A table, its full name. */
  readonly positions: string;
  /** The two layers that embed the moment, SiLU between them; of several pairs, the first that is there. */
  readonly time: readonly (readonly [string, string])[];
  /** Tables of conditions that are added to the moment, full names; the first that is there, and none if none is. */
  readonly classes: readonly string[];
  readonly block: string;
  readonly modulation: string;
  /** Of the layer after the last block. */
  readonly lastModulation: string;
  readonly attention: { readonly qkv: string; readonly out: string };
  readonly feedForward: { readonly up: string; readonly down: string; readonly activation: Activation };
}

const LLAMA: Stack = {
  families: ['llama', 'mistral', 'qwen2', 'qwen3'],
  stems: ['', 'model.', 'model.language_model.', 'language_model.model.'],
  tables: [['embed_tokens.weight']],
  layer: 'layers.{}.',
  norm: 'rmsNorm',
  attention: {
    norm: 'input_layernorm',
    readers: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
    value: 'self_attn.v_proj',
    out: 'self_attn.o_proj',
    queryNorm: 'self_attn.q_norm',
  },
  feedForward: { norm: 'post_attention_layernorm', gate: 'mlp.gate_proj', up: 'mlp.up_proj', down: 'mlp.down_proj', activation: 'silu' },
};

const T5: Stack = {
  families: ['t5', 'umt5'],
  stems: [''],
  tables: [['shared.weight', 'encoder.embed_tokens.weight']],
  layer: 'encoder.block.{}.',
  norm: 'rmsNorm',
  attention: {
    norm: 'layer.0.layer_norm',
    readers: ['layer.0.SelfAttention.q', 'layer.0.SelfAttention.k', 'layer.0.SelfAttention.v'],
    value: 'layer.0.SelfAttention.v',
    out: 'layer.0.SelfAttention.o',
  },
  feedForward: {
    norm: 'layer.1.layer_norm',
    gate: 'layer.1.DenseReluDense.wi_0',
    up: 'layer.1.DenseReluDense.wi_1',
    down: 'layer.1.DenseReluDense.wo',
    activation: 'geluTanh',
  },
};

function clip(families: Stack['families'], activation: Activation): Stack {
  return {
    families,
    stems: ['text_model.'],
    tables: [['embeddings.token_embedding.weight'], ['embeddings.position_embedding.weight']],
    layer: 'encoder.layers.{}.',
    norm: 'layerNorm',
    attention: {
      norm: 'layer_norm1',
      readers: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
      value: 'self_attn.v_proj',
      out: 'self_attn.out_proj',
    },
    feedForward: { norm: 'layer_norm2', up: 'mlp.fc1', down: 'mlp.fc2', activation },
  };
}

export const STACKS: readonly Stack[] = [LLAMA, T5, clip(['clip-l'], 'quickGelu'), clip(['clip-h', 'clip-g'], 'gelu')];

/** The class-conditional transformer of Peebles and Xie, "Scalable Diffusion Models with Transformers", and what is built after it. */
const DIT: ModulatedStack = {
  families: ['unknown'],
  input: ['x_embedder.proj', 'x_embedder'],
  positions: 'pos_embed',
  time: [
    ['t_embedder.mlp.0', 't_embedder.mlp.2'],
    ['t_embedder.0', 't_embedder.2'],
  ],
  classes: ['y_embedder.embedding_table.weight', 'y_embedder.weight'],
  block: 'blocks.{}.',
  modulation: 'adaLN_modulation.1',
  lastModulation: 'final_layer.adaLN_modulation.1',
  attention: { qkv: 'attn.qkv', out: 'attn.proj' },
  feedForward: { up: 'mlp.fc1', down: 'mlp.fc2', activation: 'geluTanh' },
};

export const MODULATED_STACKS: readonly ModulatedStack[] = [DIT];
