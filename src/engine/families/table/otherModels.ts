/** Diffusion models of pictures and video that stand by themselves, each with names of its own. */
import type { Family } from '../family';
import { DIFFUSERS_LOSES_SCALES, keepEach, REASONS } from './reasons';

export const OTHER_MODELS = [
  {
    id: 'cosmos1',
    title: 'Cosmos 1',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'blocks.block0.blocks.0.block.attn.to_q.0.weight',
          'blocks.block0.blocks.2.block.layer1.weight',
          'x_embedder.proj.1.weight',
          't_embedder.1.linear_1.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.'),
      ...keepEach(REASONS.position, '^extra_pos_embedder.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^affline_norm.'),
      ...keepEach(REASONS.modulation, '.adaLN_modulation.'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
  {
    id: 'omnigen2',
    title: 'OmniGen2',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'time_caption_embed.timestep_embedder.linear_1.weight',
          'ref_image_refiner.0.attn.to_q.weight',
          'layers.0.feed_forward.linear_1.weight',
          'image_index_embedding',
        ],
        absent: ['double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.', '^ref_image_patch_embedder.', '^image_index_embedding'),
      ...keepEach(REASONS.condition, '^time_caption_embed.'),
      ...keepEach(REASONS.modulation, 'norm1.linear.'),
      ...keepEach(REASONS.refiner, '^noise_refiner.', '^ref_image_refiner.', '^context_refiner.'),
      ...keepEach(REASONS.final, '^norm_out.'),
    ],
  },
  {
    id: 'cogvideox',
    title: 'CogVideoX',
    category: 'video',
    signatures: [
      {
        naming: 'diffusers',
        tensors: [
          'patch_embed.text_proj.weight',
          'transformer_blocks.0.norm1.linear.weight',
          'transformer_blocks.0.attn1.norm_q.weight',
          'norm_final.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^patch_embed.'),
      ...keepEach(REASONS.condition, '^time_embedding.', '^ofs_embedding.'),
      ...keepEach(REASONS.modulation, '.norm1.linear.', '.norm2.linear.'),
      ...keepEach(REASONS.final, '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'mochi',
    title: 'Mochi 1',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: ['t5_yproj.weight', 't5_y_embedder.to_kv.weight', 'blocks.0.attn.qkv_x.weight', 'blocks.0.mod_x.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.'),
      ...keepEach(REASONS.position, '^pos_frequencies'),
      ...keepEach(REASONS.text, '^t5_y_embedder.', '^t5_yproj.'),
      ...keepEach(REASONS.condition, '^t_embedder.'),
      ...keepEach(REASONS.modulation, '.mod_x.', '.mod_y.'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
  {
    id: 'kandinsky5',
    title: 'Kandinsky 5',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'visual_transformer_blocks.0.cross_attention.key_norm.weight',
          'visual_transformer_blocks.0.visual_modulation.out_layer.weight',
          'text_transformer_blocks.0.self_attention.to_query.weight',
          'visual_embeddings.in_layer.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^visual_embeddings.'),
      ...keepEach(REASONS.text, '^text_embeddings.', '^pooled_text_embeddings.'),
      ...keepEach(REASONS.condition, '^time_embeddings.'),
      ...keepEach(REASONS.modulation, '.text_modulation.', '.visual_modulation.'),
      ...keepEach(REASONS.refiner, '^text_transformer_blocks.'),
      ...keepEach(REASONS.final, '^out_layer.'),
    ],
  },
] as const satisfies readonly Family[];
