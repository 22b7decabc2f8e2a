/** The UNets of Stable Diffusion 1, 2 and XL, told apart by the width of the text that they attend to. */
import type { Dimension, Family, Signature } from '../family';
import { DIFFUSERS_LOSES_SCALES, keepEach, REASONS } from './reasons';

const UNET_KEEP = [
  ...keepEach(REASONS.input, '^input_blocks.0.', '^conv_in.'),
  ...keepEach(REASONS.condition, '^time_embed.', '^label_emb.', '^time_embedding.', '^add_embedding.'),
  ...keepEach('it adds the time step to a whole block', '.emb_layers.', '.time_emb_proj.'),
  ...keepEach(REASONS.final, '^out.', '^conv_out.'),
] as const;

const UNET_NOTES = [
  DIFFUSERS_LOSES_SCALES,
  { text: 'Most of a UNet is convolutions, which loaders take in FP8 without a scale or not at all: they are kept unless asked for.' },
] as const;

function originalUnet(crossAttention: string, shape: readonly Dimension[], label?: readonly Dimension[]): Signature {
  return {
    naming: 'original',
    tensors: [
      [`${crossAttention}.attn2.to_k.weight`, shape],
      'input_blocks.0.0.weight',
      'middle_block.1.transformer_blocks.0.attn1.to_q.weight',
      'time_embed.0.weight',
      ...(label === undefined ? [] : [['label_emb.0.0.weight', label] as const]),
    ],
    ...(label === undefined ? { absent: ['label_emb.0.0.weight'] } : {}),
  };
}

function diffusersUnet(crossAttention: string, shape: readonly Dimension[], added?: readonly Dimension[]): Signature {
  return {
    naming: 'diffusers',
    tensors: [
      [`${crossAttention}.attn2.to_k.weight`, shape],
      'conv_in.weight',
      'mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight',
      'time_embedding.linear_1.weight',
      ...(added === undefined ? [] : [['add_embedding.linear_1.weight', added] as const]),
    ],
    ...(added === undefined ? { absent: ['add_embedding.linear_1.weight', 'class_embedding.linear_1.weight'] } : {}),
  };
}

export const UNETS = [
  {
    id: 'sd15',
    title: 'Stable Diffusion 1',
    category: 'diffusion',
    signatures: [
      originalUnet('input_blocks.1.1.transformer_blocks.0', [320, 768]),
      diffusersUnet('down_blocks.0.attentions.0.transformer_blocks.0', [320, 768]),
    ],
    keep: UNET_KEEP,
    notes: UNET_NOTES,
  },
  {
    id: 'sd2',
    title: 'Stable Diffusion 2',
    category: 'diffusion',
    signatures: [
      originalUnet('input_blocks.1.1.transformer_blocks.0', [320, 1024]),
      diffusersUnet('down_blocks.0.attentions.0.transformer_blocks.0', [320, 1024]),
    ],
    keep: UNET_KEEP,
    notes: UNET_NOTES,
  },
  {
    id: 'sdxl',
    title: 'Stable Diffusion XL',
    category: 'diffusion',
    signatures: [
      originalUnet('input_blocks.4.1.transformer_blocks.0', [640, 2048], [1280, 2816]),
      diffusersUnet('down_blocks.1.attentions.0.transformer_blocks.0', [640, 2048], [1280, 2816]),
    ],
    keep: UNET_KEEP,
    notes: UNET_NOTES,
  },
  {
    id: 'sdxl-refiner',
    title: 'Stable Diffusion XL refiner',
    category: 'diffusion',
    signatures: [
      originalUnet('input_blocks.4.1.transformer_blocks.0', [768, 1280], [1536, 2560]),
      diffusersUnet('down_blocks.1.attentions.0.transformer_blocks.0', [768, 1280], [1536, 2560]),
    ],
    keep: UNET_KEEP,
    notes: UNET_NOTES,
  },
] as const satisfies readonly Family[];
