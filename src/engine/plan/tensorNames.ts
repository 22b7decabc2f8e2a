/** What a tensor's name says of its part in the model. */

const WEIGHT = '.weight';

/** In a checkpoint, the part that is the diffusion model. */
export const DIFFUSION_MODEL_PREFIX = 'model.diffusion_model.';

/** `blocks.0.qkv` for `blocks.0.qkv.weight`; for stacked experts, which are parameters without a layer, their own name; else undefined. */
export function layerOfWeight(name: string): string | undefined {
  if (isExpertParameter(name)) return name;
  return name.length > WEIGHT.length && name.endsWith(WEIGHT) ? name.slice(0, -WEIGHT.length) : undefined;
}

/** As transformers names the stacks of all experts of a block. */
export function isExpertParameter(name: string): boolean {
  return /(^|\.)experts\.(gate_up_proj|down_proj)$/.test(name);
}

/** The other one of the two. */
export function partnerOfExperts(name: string): string {
  return name.endsWith('.gate_up_proj') ? name.replace(/gate_up_proj$/, 'down_proj') : name.replace(/down_proj$/, 'gate_up_proj');
}

export function isBias(name: string): boolean {
  return lastPart(name).endsWith('bias');
}

/** Gains of normalisations, and the projections inside adaptive ones. */
export function isNorm(name: string): boolean {
  return /norm/i.test(name) || /(^|\.)ln(_\w+|\d*)\./.test(name);
}

/** Lookup tables, and the small layers that embed patches, time steps and the like. */
export function isEmbedding(name: string): boolean {
  return /embed|relative_attention_bias/i.test(name) || /(^|[._])embs?\.|(^|\.)(wte|wpe|shared)\./.test(name);
}

/** The tables among these in which tokens are looked up. */
export function isTokenTable(name: string): boolean {
  return /(^|[._])(embed_tokens|tok_embeddings|tokens?_embeddings?|word_embeddings|embed_in|wte|shared)\.weight$/.test(name);
}

/** Queries, keys and values as one matrix. */
export function isFusedAttention(name: string): boolean {
  return /(^|[._])(qkv|wqkv|c_attn|query_key_value|in_proj)([._]\w+)?\.weight$/i.test(name);
}

/** Convolutions whose first dimension is their inputs'. */
export function isTransposedConvolution(name: string): boolean {
  return /(^|[._])(conv_?transposed?|transposed?_?conv|conv_?tr|deconv|upconv)(\d*d?)([._]|$)/i.test(name);
}

/** The last matrix, whose output is the model's. */
export function isOutputHead(name: string): boolean {
  return (
    /(^|\.)lm_head\./.test(name) ||
    /^(model\.diffusion_model\.|model\.)?(output|head|head\.head|proj_out|classifier|score|logits)\.weight$/.test(name)
  );
}

export function isLora(name: string): boolean {
  return /(^|[._])(lora|lokr|loha|hada)[._]/i.test(name);
}

/** The layer whose stored quantization the tensor describes, e.g. the owner of `<layer>.weight_scale`, or of `experts.down_proj_scale`. */
export function layerOfCompanion(name: string): string | undefined {
  if (name.endsWith('_scale') && isExpertParameter(name.slice(0, -'_scale'.length))) return name.slice(0, -'_scale'.length);
  const part = lastPart(name);
  if (part === name || !COMPANIONS.has(part)) return undefined;
  return name.slice(0, -part.length - 1).replace(/\.weight$/, '');
}

/** The marker that says of a whole file (or of the part with its prefix) that it holds scaled FP8 weights. */
export function isScaledFp8Marker(name: string): boolean {
  return lastPart(name) === 'scaled_fp8';
}

const COMPANIONS: ReadonlySet<string> = new Set([
  'weight_scale',
  'weight_scale_2',
  'weight_scale_inv',
  'weight_global_scale',
  'input_global_scale',
  'weight_zero_point',
  'weight_packed',
  'weight_shape',
  'scale_weight',
  'input_scale',
  'scale_input',
  'pre_quant_scale',
  'comfy_quant',
  // Of bitsandbytes, behind the name of the weight.
  'absmax',
  'quant_map',
]);

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
