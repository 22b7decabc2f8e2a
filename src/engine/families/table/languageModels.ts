/** Language models, told apart by the shape of a layer: their makers share names, so a family is everything built like it. */
import type { Family, TensorFact } from '../family';
import { keepEach, REASONS } from './reasons';

/** Where the layers are: a text model, a model of text and pictures (newer and older files), or the bare decoder. */
const STEMS = ['model.', 'model.language_model.', 'language_model.model.', ''] as const;

const ATTENTION = 'layers.0.self_attn.';
const EMBEDDINGS = 'embed_tokens.weight';
const LLAMA_LAYER = [`${ATTENTION}q_proj.weight`, 'layers.0.input_layernorm.weight', 'layers.0.post_attention_layernorm.weight'] as const;
const SANDWICH_NORM = 'layers.0.pre_feedforward_layernorm.weight';
const QUERY_NORM = `${ATTENTION}q_norm.weight`;
/** None of these is in a layer built like LLaMA's. */
const BEYOND_LLAMA = [`${ATTENTION}q_proj.bias`, QUERY_NORM, SANDWICH_NORM, 'layers.0.post_feedforward_layernorm.weight'] as const;
const FEED_FORWARD = 'layers.0.mlp.gate_proj.weight';
const MIXED_FEED_FORWARD = 'layers.0.mlp.{gate_proj,gate}.weight';

const LANGUAGE_KEEP = [
  ...keepEach(REASONS.vocabulary, 'embed_tokens'),
  ...keepEach(REASONS.head, 'lm_head.'),
  ...keepEach(REASONS.router, '.mlp.gate.', '.block_sparse_moe.gate.', '.mlp.shared_expert_gate.', '.router.'),
] as const;

const VISION_KEEP = keepEach(
  REASONS.vision,
  '^visual.',
  '^model.visual.',
  'vision_tower.',
  'vision_model.',
  '^vision_encoder.',
  'embed_vision.',
  'multi_modal_projector.',
);

/** Mistral's files have LLaMA's names: their sizes tell. */
function mistralSizes(vocabulary: number, width: number, queries: number, feedForward: number): readonly [TensorFact, ...TensorFact[]] {
  return [
    [`${ATTENTION}q_proj.weight`, [queries, width]],
    [`${ATTENTION}k_proj.weight`, [1024, width]],
    [FEED_FORWARD, [feedForward, width]],
    [EMBEDDINGS, [vocabulary, width]],
  ];
}

export const LANGUAGE_MODELS = [
  {
    id: 'llama',
    title: 'LLaMA-shaped language model',
    category: 'language model',
    signatures: [{ naming: 'transformers', stems: STEMS, tensors: [...LLAMA_LAYER, FEED_FORWARD, EMBEDDINGS], absent: BEYOND_LLAMA }],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
  {
    id: 'mistral',
    title: 'Mistral-shaped language model',
    category: 'language model',
    signatures: [
      // 7B (two vocabularies), then Nemo 12B, Small 24B and Ministral 8B.
      { naming: 'transformers', stems: STEMS, tensors: mistralSizes(32_000, 4096, 4096, 14_336), absent: BEYOND_LLAMA },
      { naming: 'transformers', stems: STEMS, tensors: mistralSizes(32_768, 4096, 4096, 14_336), absent: BEYOND_LLAMA },
      { naming: 'transformers', stems: STEMS, tensors: mistralSizes(131_072, 5120, 4096, 14_336), absent: BEYOND_LLAMA },
      { naming: 'transformers', stems: STEMS, tensors: mistralSizes(131_072, 5120, 4096, 32_768), absent: BEYOND_LLAMA },
      { naming: 'transformers', stems: STEMS, tensors: mistralSizes(131_072, 4096, 4096, 12_288), absent: BEYOND_LLAMA },
      // Mixtral.
      { naming: 'transformers', stems: STEMS, tensors: ['layers.0.block_sparse_moe.gate.weight', `${ATTENTION}q_proj.weight`, EMBEDDINGS] },
    ],
    specialises: ['llama'],
    keep: [
      ...LANGUAGE_KEEP,
      ...VISION_KEEP,
      ...keepEach('the tokenizer is stored as a tensor', 'tekken_model'),
      ...keepEach(REASONS.vision, 'patch_conv', 'ln_pre', 'mm_input_projection_weight'),
    ],
  },
  {
    id: 'qwen2',
    title: 'Qwen2-shaped language model (Qwen2, 2.5, 2-VL, 2.5-VL)',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [`${ATTENTION}q_proj.bias`, ...LLAMA_LAYER, MIXED_FEED_FORWARD, EMBEDDINGS],
        absent: [QUERY_NORM, SANDWICH_NORM, `${ATTENTION}o_proj.bias`],
      },
    ],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
  {
    id: 'qwen3',
    title: 'Qwen3-shaped language model (dense, mixture of experts, VL)',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [[QUERY_NORM, [128]], ...LLAMA_LAYER, MIXED_FEED_FORWARD, EMBEDDINGS],
        absent: [SANDWICH_NORM, 'layers.0.post_feedforward_layernorm.weight', `${ATTENTION}q_proj.bias`],
      },
    ],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
  {
    id: 'qwen35',
    title: 'Qwen3.5-shaped language model (linear attention in most layers)',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: ['layers.0.linear_attn.in_proj_a.weight', 'layers.0.linear_attn.in_proj_qkv.weight', MIXED_FEED_FORWARD, EMBEDDINGS],
      },
    ],
    keep: [
      ...LANGUAGE_KEEP,
      ...keepEach(REASONS.first, 'language_model.layers.{first}.', '^model.layers.{first}.'),
      ...keepEach(REASONS.last, 'language_model.layers.{last}.', '^model.layers.{last}.'),
      ...keepEach('a narrow projection that sets how fast linear attention forgets', '.in_proj_a.', '.in_proj_b.'),
      ...keepEach('a short convolution over each channel', '.conv1d.'),
      ...keepEach(REASONS.vision, 'visual.pos_embed', 'visual.patch_embed', 'visual.merger', 'visual.blocks.{first}.'),
      ...keepEach('it joins two streams for the prediction of several tokens', 'mtp.fc.'),
    ],
  },
  {
    id: 'gemma1',
    title: 'Gemma-shaped language model (first generation)',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [[EMBEDDINGS, [256_000, '*']], ...LLAMA_LAYER, FEED_FORWARD],
        absent: BEYOND_LLAMA,
      },
    ],
    specialises: ['llama'],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
  {
    id: 'gemma2',
    title: 'Gemma-2-shaped language model',
    category: 'language model',
    signatures: [
      { naming: 'transformers', stems: STEMS, tensors: [SANDWICH_NORM, ...LLAMA_LAYER, FEED_FORWARD, EMBEDDINGS], absent: [QUERY_NORM] },
    ],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
  {
    id: 'gemma3',
    title: 'Gemma-3-shaped language model',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [QUERY_NORM, SANDWICH_NORM, ...LLAMA_LAYER, FEED_FORWARD, EMBEDDINGS],
        absent: ['layers.0.layer_scalar', 'layers.0.altup.modality_router.weight'],
      },
    ],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP, ...keepEach(REASONS.vision, 'mm_input_projection_weight')],
  },
  {
    id: 'gemma4',
    title: 'Gemma-4-shaped language model',
    category: 'language model',
    signatures: [
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: ['layers.0.layer_scalar', QUERY_NORM, SANDWICH_NORM, ...LLAMA_LAYER, FEED_FORWARD, EMBEDDINGS],
      },
    ],
    keep: [
      ...LANGUAGE_KEEP,
      ...keepEach(
        'it gates what a table of tokens adds to each layer',
        'per_layer_input_gate',
        'per_layer_projection',
        'per_layer_model_projection',
      ),
      ...VISION_KEEP,
      ...keepEach(REASONS.audio, 'audio_tower.', 'embed_audio.', 'audio_model.'),
    ],
  },
  {
    id: 'phi',
    title: 'Phi-shaped language model',
    category: 'language model',
    signatures: [
      // Phi 3, 3.5 and 4: one matrix for queries, keys and values, and one for gate and up.
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [`${ATTENTION}qkv_proj.weight`, 'layers.0.mlp.gate_up_proj.weight', 'layers.0.input_layernorm.weight', EMBEDDINGS],
      },
      // Phi 1 and 2.
      {
        naming: 'transformers',
        stems: STEMS,
        tensors: [`${ATTENTION}dense.weight`, `${ATTENTION}q_proj.weight`, 'layers.0.mlp.fc1.weight', 'final_layernorm.weight', EMBEDDINGS],
      },
    ],
    keep: [...LANGUAGE_KEEP, ...VISION_KEEP],
  },
] as const satisfies readonly Family[];
