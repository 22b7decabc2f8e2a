/** Diffusion models of pictures built on the transformers of FLUX, Qwen-Image, SD3 and their relatives. */
import type { Family } from '../family';
import { DIFFUSERS_LOSES_SCALES, keepEach, REASONS } from './reasons';

export const IMAGE_MODELS = [
  {
    id: 'flux1',
    title: 'FLUX.1',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          ['double_blocks.0.img_attn.qkv.weight', [9216, 3072]],
          'double_blocks.0.img_mod.lin.weight',
          'single_blocks.0.modulation.lin.weight',
          'vector_in.in_layer.weight',
          'img_in.weight',
        ],
        absent: ['distilled_guidance_layer.in_proj.weight'],
      },
      {
        naming: 'diffusers',
        tensors: [
          ['single_transformer_blocks.0.proj_mlp.weight', [12288, 3072]],
          ['time_text_embed.text_embedder.linear_1.weight', [3072, 768]],
          'transformer_blocks.0.attn.add_q_proj.weight',
          'x_embedder.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.', '^x_embedder.'),
      ...keepEach(REASONS.text, '^txt_in.', '^context_embedder.'),
      ...keepEach(REASONS.condition, '^time_in.', '^vector_in.', '^guidance_in.', '^time_text_embed.'),
      ...keepEach(REASONS.modulation, '_mod.lin.', '.modulation.lin.', '.norm1.linear.', '.norm1_context.linear.', '.norm.linear.'),
      ...keepEach(REASONS.final, '^final_layer.', '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'flux2',
    title: 'FLUX.2',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'double_stream_modulation_img.lin.weight',
          'single_stream_modulation.lin.weight',
          'double_blocks.0.img_attn.qkv.weight',
          'img_in.weight',
        ],
      },
      {
        naming: 'diffusers',
        tensors: [
          'double_stream_modulation_img.linear.weight',
          'single_stream_modulation.linear.weight',
          'transformer_blocks.0.attn.add_q_proj.weight',
          'single_transformer_blocks.0.attn.to_qkv_mlp_proj.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.', '^x_embedder.'),
      ...keepEach(REASONS.text, '^txt_in.', '^context_embedder.'),
      ...keepEach(REASONS.condition, '^time_in.', '^guidance_in.', '^time_guidance_embed.'),
      ...keepEach(REASONS.modulation, 'stream_modulation'),
      ...keepEach(REASONS.final, '^final_layer.', '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'chroma',
    title: 'Chroma',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: ['distilled_guidance_layer.in_proj.weight', 'double_blocks.0.img_attn.qkv.weight', 'img_in.weight'],
      },
      {
        naming: 'diffusers',
        tensors: ['distilled_guidance_layer.in_proj.weight', 'transformer_blocks.0.attn.add_q_proj.weight', 'x_embedder.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.', '^x_embedder.'),
      ...keepEach(REASONS.text, '^txt_in.', '^context_embedder.'),
      ...keepEach(REASONS.modulation, '^distilled_guidance_layer.'),
      ...keepEach(REASONS.final, '^final_layer.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'chroma-radiance',
    title: 'Chroma Radiance',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'nerf_blocks.0.param_generator.weight',
          'img_in_patch.weight',
          'distilled_guidance_layer.in_proj.weight',
          'double_blocks.0.img_attn.qkv.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in_patch.', '^nerf_image_embedder.'),
      ...keepEach(REASONS.text, '^txt_in.'),
      ...keepEach(REASONS.modulation, '^distilled_guidance_layer.'),
      ...keepEach('NeRF blocks write the pixels, with weights that they compute', '^nerf_blocks.'),
      ...keepEach(REASONS.final, '^nerf_final_layer'),
      ...keepEach('a marker that says how the model predicts', '__x0__'),
    ],
  },
  {
    id: 'sd3',
    title: 'Stable Diffusion 3 and 3.5',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'joint_blocks.0.context_block.attn.qkv.weight',
          'joint_blocks.0.x_block.adaLN_modulation.1.weight',
          'x_embedder.proj.weight',
          ['context_embedder.weight', ['*', 4096]],
        ],
      },
      {
        naming: 'diffusers',
        tensors: [
          'transformer_blocks.0.attn.add_q_proj.weight',
          'transformer_blocks.0.norm1_context.linear.weight',
          'pos_embed.proj.weight',
          ['time_text_embed.text_embedder.linear_1.weight', ['*', 2048]],
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^x_embedder.', '^pos_embed'),
      ...keepEach(REASONS.text, '^context_embedder.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^y_embedder.', '^time_text_embed.'),
      ...keepEach(REASONS.modulation, '.adaLN_modulation.', '.norm1.linear.', '.norm1_context.linear.'),
      ...keepEach(REASONS.final, '^final_layer.', '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'auraflow',
    title: 'AuraFlow',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: ['double_layers.0.attn.w1q.weight', 'single_layers.0.modCX.1.weight', 'cond_seq_linear.weight', 'init_x_linear.weight'],
      },
      {
        naming: 'diffusers',
        tensors: ['joint_transformer_blocks.0.attn.to_q.weight', 'register_tokens', 'context_embedder.weight', 'pos_embed.proj.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^init_x_linear.', '^pos_embed'),
      ...keepEach(REASONS.position, '^positional_encoding', '^register_tokens'),
      ...keepEach(REASONS.text, '^cond_seq_linear.', '^context_embedder.'),
      ...keepEach(REASONS.condition, '^t_embedder.', '^time_step_'),
      ...keepEach(REASONS.modulation, '.modC.', '.modX.', '.modCX.', '^modF.', '.norm1.linear.', '.norm1_context.linear.'),
      ...keepEach(REASONS.final, '^final_linear.', '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'qwen-image',
    title: 'Qwen-Image',
    category: 'diffusion',
    signatures: [
      {
        // diffusers and ComfyUI use the authors' names.
        naming: 'original',
        tensors: [
          ['txt_norm.weight', [3584]],
          'transformer_blocks.0.img_mod.1.weight',
          'transformer_blocks.0.attn.add_q_proj.weight',
          'time_text_embed.timestep_embedder.linear_1.weight',
          'img_in.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.'),
      ...keepEach(REASONS.text, '^txt_in.', '^txt_norm.'),
      ...keepEach(REASONS.condition, '^time_text_embed.'),
      ...keepEach(
        'modulation of the first block; that of all blocks is a third of this model, and the others take FP8 well',
        'transformer_blocks.{first}.img_mod.1.',
        'transformer_blocks.{first}.txt_mod.1.',
      ),
      ...keepEach(REASONS.final, '^norm_out.', '^proj_out.'),
    ],
  },
  {
    id: 'lens',
    title: 'Lens',
    category: 'diffusion',
    signatures: [
      {
        // diffusers and ComfyUI use the authors' names.
        naming: 'original',
        tensors: [
          'transformer_blocks.0.attn.img_qkv.weight',
          'transformer_blocks.0.attn.norm_added_q.weight',
          'transformer_blocks.0.img_mlp.w1.weight',
          'time_text_embed.timestep_embedder.linear_1.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.'),
      ...keepEach(REASONS.text, '^txt_in.', '^txt_norm.'),
      ...keepEach(REASONS.condition, '^time_text_embed.'),
      ...keepEach(REASONS.modulation, '.img_mod.1.', '.txt_mod.1.'),
      ...keepEach(REASONS.final, '^norm_out.', '^proj_out.'),
    ],
  },
  {
    id: 'krea2',
    title: 'Krea 2',
    category: 'diffusion',
    signatures: [
      {
        naming: 'original',
        tensors: ['txtfusion.projector.weight', 'blocks.0.attn.wq.weight', 'first.weight', 'tproj.1.weight'],
      },
      {
        naming: 'diffusers',
        tensors: ['text_fusion.projector.weight', 'transformer_blocks.0.attn.to_gate.weight', 'time_mod_proj.weight', 'img_in.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^first.', '^img_in.'),
      ...keepEach(REASONS.text, '^txtfusion.', '^txtmlp.', '^text_fusion.', '^txt_in.'),
      ...keepEach(REASONS.condition, '^tmlp.', '^time_embed.'),
      ...keepEach(REASONS.modulation, '^tproj.', '^time_mod_proj.', '.mod.lin', 'scale_shift_table'),
      ...keepEach(REASONS.final, '^last.', '^final_layer.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
] as const satisfies readonly Family[];
