/** Diffusion models of pictures built on the transformers of Lumina, PixArt, HiDream, Cosmos and their relatives. */
import type { Family } from '../family';
import { DIFFUSERS_LOSES_SCALES, keepEach, REASONS } from './reasons';

const NEXT_DIT_KEEP = [
  ...keepEach(REASONS.input, '^x_embedder.', '^all_x_embedder.', '^x_pad_token'),
  ...keepEach(REASONS.text, '^cap_embedder.', '^cap_pad_token', '^clip_text_pooled_proj.', '^siglip_embedder.'),
  ...keepEach(REASONS.condition, '^t_embedder.', '^time_text_embed.', '^time_caption_embed.'),
  ...keepEach(REASONS.modulation, 'adaLN_modulation.', '.norm1.linear.'),
  ...keepEach(REASONS.refiner, '^noise_refiner.', '^context_refiner.'),
  ...keepEach(REASONS.final, '^final_layer.', '^all_final_layer.', '^norm_out.'),
] as const;

export const MORE_IMAGE_MODELS = [
  {
    id: 'lumina2',
    title: 'Lumina Image 2',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          ['cap_embedder.1.weight', [2304, '*']],
          'noise_refiner.0.attention.k_norm.weight',
          'layers.0.attention.qkv.weight',
          'x_embedder.weight',
        ],
      },
      {
        naming: 'diffusers',
        tensors: [
          ['time_caption_embed.caption_embedder.1.weight', [2304, '*']],
          'noise_refiner.0.norm1.linear.weight',
          'layers.0.attn.to_q.weight',
          'x_embedder.weight',
        ],
        absent: ['ref_image_patch_embedder.weight'],
      },
    ],
    keep: NEXT_DIT_KEEP,
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'zimage',
    title: 'Z-Image',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          ['cap_embedder.1.weight', [3840, 2560]],
          ['layers.0.attention.qkv.weight', [11520, 3840]],
          'noise_refiner.0.attention.k_norm.weight',
          'x_embedder.weight',
        ],
      },
      {
        naming: 'diffusers',
        tensors: [
          'all_x_embedder.2-1.weight',
          ['cap_embedder.1.weight', [3840, 2560]],
          ['layers.0.attention.to_q.weight', [3840, 3840]],
          'noise_refiner.0.attention.norm_k.weight',
        ],
      },
    ],
    keep: NEXT_DIT_KEEP,
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'hidream',
    title: 'HiDream I1',
    category: 'diffusion',
    signatures: [
      {
        // diffusers and ComfyUI use the authors' names.
        naming: 'original',
        tensors: [
          'double_stream_blocks.0.block.attn1.to_q_t.weight',
          'single_stream_blocks.0.block.ff_i.gate.weight',
          'caption_projection.0.linear.weight',
          'p_embedder.pooled_embedder.linear_1.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.'),
      ...keepEach(REASONS.text, '^caption_projection.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^p_embedder.'),
      ...keepEach(REASONS.modulation, '.adaLN_modulation.'),
      ...keepEach(REASONS.router, '.ff_i.gate.'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
  {
    id: 'pixart',
    title: 'PixArt (alpha and sigma)',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: ['t_block.1.weight', 'y_embedder.y_proj.fc1.weight', 'blocks.0.cross_attn.kv_linear.weight', 'x_embedder.proj.weight'],
      },
      {
        naming: 'diffusers',
        tensors: [
          'adaln_single.emb.timestep_embedder.linear_1.weight',
          'pos_embed.proj.weight',
          'caption_projection.linear_1.weight',
          'transformer_blocks.0.attn2.to_k.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.', '^pos_embed'),
      ...keepEach(REASONS.text, '^y_embedder.', '^caption_projection.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^csize_embedder.', '^ar_embedder.'),
      ...keepEach(REASONS.modulation, '^t_block.', '^adaln_single.', 'scale_shift_table'),
      ...keepEach(REASONS.final, '^final_layer.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'ideogram4',
    title: 'Ideogram 4',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: ['embed_image_indicator.weight', 'llm_cond_proj.weight', 'layers.0.attention.qkv.weight', 'input_proj.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^input_proj.', '^embed_image_indicator.'),
      ...keepEach(REASONS.text, '^llm_cond_'),
      ...keepEach(REASONS.condition, '^t_embedding.'),
      ...keepEach(REASONS.modulation, '^adaln_proj.', '.adaln_modulation.'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
  {
    id: 'boogu',
    title: 'Boogu Image',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight',
          'single_stream_layers.0.attn.to_q.weight',
          'time_caption_embed.caption_embedder.1.weight',
          'x_embedder.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.', '^ref_image_patch_embedder.', '^image_index_embedding'),
      ...keepEach(REASONS.condition, '^time_caption_embed.'),
      ...keepEach(REASONS.modulation, 'norm1.linear.', 'norm2.linear.', 'norm3.linear.'),
      ...keepEach(REASONS.refiner, '^noise_refiner.', '^ref_image_refiner.', '^context_refiner.'),
      ...keepEach(REASONS.final, '^norm_out.'),
    ],
  },
  {
    id: 'cosmos-predict2',
    title: 'Cosmos Predict 2',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'blocks.0.adaln_modulation_self_attn.1.weight',
          'blocks.0.mlp.layer1.weight',
          'x_embedder.proj.1.weight',
          't_embedder.1.linear_1.weight',
        ],
        absent: ['llm_adapter.blocks.0.cross_attn.q_proj.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^t_embedding_norm.'),
      ...keepEach(REASONS.modulation, '.adaln_modulation'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
  {
    id: 'anima',
    title: 'Anima',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'llm_adapter.blocks.0.cross_attn.q_proj.weight',
          'blocks.0.adaln_modulation_self_attn.1.weight',
          'blocks.0.mlp.layer1.weight',
          'x_embedder.proj.1.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^t_embedding_norm.'),
      ...keepEach(REASONS.adapter, '^llm_adapter.'),
      ...keepEach(REASONS.first, '^blocks.{first}.'),
      ...keepEach(REASONS.modulation, '.adaln_modulation'),
      ...keepEach(REASONS.final, '^final_layer.'),
    ],
  },
] as const satisfies readonly Family[];
