/** Diffusion models of video. */
import type { Family } from '../family';
import { DIFFUSERS_LOSES_SCALES, keepEach, REASONS } from './reasons';

export const VIDEO_MODELS = [
  {
    id: 'wan',
    title: 'Wan 2.1 and 2.2',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: ['head.modulation', 'blocks.0.self_attn.q.weight', 'blocks.0.ffn.0.weight', 'patch_embedding.weight'],
      },
      {
        naming: 'diffusers',
        tensors: [
          'condition_embedder.time_embedder.linear_1.weight',
          'blocks.0.attn1.to_q.weight',
          'blocks.0.ffn.net.0.proj.weight',
          'patch_embedding.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, 'patch_embedding', '^ref_conv.', '^img_emb.'),
      ...keepEach(REASONS.text, 'text_embedding'),
      ...keepEach(REASONS.condition, 'time_embedding', '^condition_embedder.', 'cond_encoder', 'trainable_cond_mask'),
      ...keepEach(REASONS.modulation, 'time_projection', 'modulation', 'scale_shift_table'),
      ...keepEach(
        REASONS.adapter,
        'control_adapter',
        'motion_encoder.',
        'face_encoder.',
        'face_adapter',
        'frame_packer',
        'audio_injector',
        'casual_audio_encoder',
        '^audio_proj.',
      ),
      ...keepEach(REASONS.final, '^head.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'hunyuan-video',
    title: 'HunyuanVideo (and HunyuanImage 2.1)',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'txt_in.individual_token_refiner.blocks.0.norm1.weight',
          'double_blocks.0.{img_attn_qkv,img_attn.qkv,img_attn_q}.weight',
          'final_layer.linear.weight',
          'img_in.proj.weight',
        ],
      },
      {
        naming: 'diffusers',
        tensors: [
          'context_embedder.token_refiner.refiner_blocks.0.attn.to_q.weight',
          'transformer_blocks.0.attn.add_q_proj.weight',
          'x_embedder.proj.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^img_in.', '^x_embedder.', '^vision_in.', '^image_embedder.', '^cond_type_emb'),
      ...keepEach(REASONS.text, '^txt_in.', '^byt5_in.', '^context_embedder'),
      ...keepEach(REASONS.condition, '^time_in.', '^time_r_in.', '^vector_in.', '^guidance_in.', '^time_text_embed.', '^time_embed.'),
      ...keepEach(REASONS.modulation, '_mod.lin', '.modulation.lin', '.norm1.linear.', '.norm1_context.linear.', '.norm.linear.'),
      ...keepEach(REASONS.final, '^final_layer.', '^norm_out.', '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'ltxv',
    title: 'LTX-Video',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'adaln_single.emb.timestep_embedder.linear_1.weight',
          'patchify_proj.weight',
          'transformer_blocks.0.attn1.q_norm.weight',
          'transformer_blocks.0.attn2.to_k.weight',
        ],
        absent: ['audio_patchify_proj.weight', 'pos_embed.proj.weight'],
      },
      {
        naming: 'diffusers',
        tensors: [
          'time_embed.emb.timestep_embedder.linear_1.weight',
          'proj_in.weight',
          'transformer_blocks.0.attn1.norm_q.weight',
          'transformer_blocks.0.scale_shift_table',
        ],
        absent: ['audio_proj_in.weight'],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, '^patchify_proj.', '^proj_in.'),
      ...keepEach(REASONS.text, '^caption_projection.'),
      ...keepEach(REASONS.modulation, '^adaln_single.', '^time_embed.', 'scale_shift_table'),
      ...keepEach(REASONS.final, '^proj_out.'),
    ],
    notes: [DIFFUSERS_LOSES_SCALES],
  },
  {
    id: 'ltxv2',
    title: 'LTX-2 (video with sound)',
    category: 'video',
    signatures: [
      {
        naming: 'original',
        tensors: [
          'audio_adaln_single.linear.weight',
          'audio_patchify_proj.weight',
          'adaln_single.emb.timestep_embedder.linear_1.weight',
          'transformer_blocks.0.audio_to_video_attn.to_q.weight',
        ],
      },
    ],
    keep: [
      ...keepEach(REASONS.input, 'patchify_proj.'),
      ...keepEach(REASONS.text, 'caption_projection.', 'embeddings_connector.', 'text_embedding_projection'),
      ...keepEach(REASONS.modulation, 'adaln_single.', 'scale_shift_table', '.to_gate_logits.'),
      ...keepEach(REASONS.first, '^transformer_blocks.{first}.', '^transformer_blocks.{first+1}.'),
      ...keepEach(REASONS.last, '^transformer_blocks.{last-1}.', '^transformer_blocks.{last}.'),
      ...keepEach(REASONS.final, '^proj_out.', '^audio_proj_out.'),
    ],
  },
] as const satisfies readonly Family[];
