/**
 * sensitiveNames: what embedders, modulation and final layers are called in most models, as data. For models that no family fits: nobody knows of
 * these what the names stand for, so that they are told of and decide nothing.
 */

interface SensitiveNames {
  readonly what: 'embedders' | 'modulation' | 'final layers';
  readonly pattern: RegExp;
}

const SENSITIVE_NAMES: readonly SensitiveNames[] = [
  {
    what: 'embedders',
    pattern:
      /(^|[._])(x|img|image|video|vision|audio|txt|text|time|t|vector|guidance|cond|context|cap|caption|patch|pooled)_?(in|embedder|embedding)\./i,
  },
  {
    what: 'embedders',
    pattern: /(^|\.)(patchify_proj|time_projection|time_step_proj|time_emb_proj|emb_layers|t_block|caption_projection|llm_cond_proj)\./,
  },
  {
    what: 'modulation',
    pattern: /(^|[._])(mod(c|x|cx|f)?|modulation|adaln|adaln_single|adaln_proj|adaln_modulation|distilled_guidance_layer)([._]|$)/i,
  },
  { what: 'final layers', pattern: /(^|[._])(final|last)_(layer|linear|proj|out)(_\w+)?\./ },
];

export function isSensitiveName(name: string): boolean {
  return SENSITIVE_NAMES.some(({ pattern }) => pattern.test(name));
}
