/** fusedProjections: the linear layers that vLLM joins into one when it loads a model. */

interface FusedSet {
  readonly parts: readonly string[];
  /** What stands before these names, where others have them as well. */
  readonly within?: RegExp;
}

const SETS: readonly FusedSet[] = [
  { parts: ['q_proj', 'k_proj', 'v_proj'] },
  { parts: ['gate_proj', 'up_proj'] },
  // Of Mixtral's experts; elsewhere layers of these names may be anything.
  { parts: ['w1', 'w3'], within: /(^|\.)block_sparse_moe\.experts\.\d+\.$/ },
  // Of DeepSeek's latent attention.
  { parts: ['q_a_proj', 'kv_a_proj_with_mqa'] },
];

/** The given layers that are joined, set by set; those that belong to no set are left out. */
export function fusedSets(layers: ReadonlySet<string>): readonly (readonly string[])[] {
  const sets = new Map<string, string[]>();
  for (const layer of layers) {
    const dot = layer.lastIndexOf('.');
    const [before, part] = [layer.slice(0, dot + 1), layer.slice(dot + 1)];
    const set = SETS.findIndex(({ parts, within }) => parts.includes(part) && within?.test(before) !== false);
    if (set === -1) continue;
    const key = `${before}${set}`;
    const known = sets.get(key);
    if (known === undefined) sets.set(key, [layer]);
    else known.push(layer);
  }
  return [...sets.values()];
}
