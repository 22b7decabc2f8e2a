/** Encoders of text that are used with diffusion models, and autoencoders. */
import type { Family, Signature } from '../family';
import { keepEach, REASONS } from './reasons';

const CLIP_KEEP = [
  ...keepEach(REASONS.vocabulary, 'token_embedding'),
  ...keepEach(REASONS.position, 'position_embedding', 'positional_embedding'),
  ...keepEach(REASONS.final, 'final_layer_norm', 'ln_final', 'text_projection', 'logit_scale'),
  ...keepEach(REASONS.vision, '^vision_model.', '^visual.', '^visual_projection.'),
] as const;

function transformersClip(width: number): Signature {
  return {
    naming: 'transformers',
    tensors: [
      ['text_model.encoder.layers.0.self_attn.q_proj.weight', [width, width]],
      ['text_model.embeddings.token_embedding.weight', [49408, width]],
      'text_model.encoder.layers.0.mlp.fc1.weight',
    ],
  };
}

function openClip(width: number): Signature {
  return {
    naming: 'original',
    tensors: [
      ['transformer.resblocks.0.attn.in_proj_weight', [3 * width, width]],
      ['token_embedding.weight', [49408, width]],
      'transformer.resblocks.0.mlp.c_fc.weight',
    ],
  };
}

const OPEN_CLIP_NOTE = {
  naming: 'original',
  text: 'Fused attention inputs are named in_proj_weight, beside which no loader looks for a scale: they are kept.',
} as const;

const T5_KEEP = [
  ...keepEach(REASONS.vocabulary, 'shared.', 'embed_tokens.', '^token_embedding.'),
  ...keepEach(REASONS.position, 'relative_attention_bias', 'pos_embedding'),
] as const;

const T5_REMOVE = [
  { pattern: 'decoder', reason: 'text encoding uses the encoder alone' },
  { pattern: 'lm_head', reason: 'text encoding uses the encoder alone' },
] as const;

const T5_TENSORS = [
  'encoder.block.0.layer.0.SelfAttention.q.weight',
  'encoder.block.0.layer.1.DenseReluDense.{wi_0,wi}.weight',
  '{shared,encoder.embed_tokens}.weight',
] as const;

export const TEXT_ENCODERS = [
  {
    id: 'clip-l',
    title: 'CLIP-L text encoder',
    category: 'text encoder',
    signatures: [transformersClip(768), openClip(768)],
    keep: CLIP_KEEP,
    notes: [OPEN_CLIP_NOTE],
  },
  {
    id: 'clip-h',
    title: 'CLIP-H text encoder',
    category: 'text encoder',
    signatures: [transformersClip(1024), openClip(1024)],
    keep: CLIP_KEEP,
    notes: [OPEN_CLIP_NOTE],
  },
  {
    id: 'clip-g',
    title: 'CLIP-G text encoder',
    category: 'text encoder',
    signatures: [transformersClip(1280), openClip(1280)],
    keep: CLIP_KEEP,
    notes: [OPEN_CLIP_NOTE],
  },
  {
    id: 't5',
    title: 'T5 (T5-XXL and its sizes)',
    category: 'text encoder',
    signatures: [
      {
        naming: 'transformers',
        tensors: T5_TENSORS,
        absent: ['encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight'],
      },
    ],
    keep: T5_KEEP,
    remove: T5_REMOVE,
  },
  {
    id: 'umt5',
    title: 'UMT5 and Pile-T5 (positions in every block)',
    category: 'text encoder',
    signatures: [
      {
        naming: 'transformers',
        tensors: ['encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight', ...T5_TENSORS],
      },
      {
        naming: 'original',
        tensors: [
          'blocks.1.pos_embedding.embedding.weight',
          'blocks.0.attn.q.weight',
          'blocks.0.ffn.gate.0.weight',
          'token_embedding.weight',
        ],
      },
    ],
    keep: T5_KEEP,
    remove: T5_REMOVE,
  },
] as const satisfies readonly Family[];

export const AUTOENCODERS = [
  {
    id: 'vae',
    title: 'Autoencoder of pictures (KL)',
    category: 'autoencoder',
    signatures: [
      { naming: 'original', tensors: ['decoder.mid.block_1.conv1.weight', 'decoder.conv_in.weight', 'decoder.conv_out.weight'] },
      { naming: 'diffusers', tensors: ['decoder.mid_block.resnets.0.conv1.weight', 'decoder.conv_in.weight', 'decoder.conv_out.weight'] },
    ],
    keep: keepEach(REASONS.autoencoder, ''),
  },
  {
    id: 'wan-vae',
    title: 'Autoencoder of video (Wan, Qwen-Image)',
    category: 'autoencoder',
    signatures: [
      { naming: 'original', tensors: ['decoder.middle.0.residual.0.gamma', 'decoder.conv1.weight', 'encoder.conv1.weight'] },
      {
        naming: 'diffusers',
        tensors: ['decoder.mid_block.resnets.0.norm1.gamma', 'decoder.conv_in.weight', 'decoder.mid_block.resnets.0.conv1.weight'],
      },
    ],
    specialises: ['vae'],
    keep: keepEach(REASONS.autoencoder, ''),
  },
] as const satisfies readonly Family[];
