/** fusedProjections: the linear layers that vLLM joins into one when it loads a model. */

const SETS: readonly (readonly string[])[] = [
  ['q_proj', 'k_proj', 'v_proj'],
  ['gate_proj', 'up_proj'],
];

/** The given layers that are joined, set by set; those that belong to no set are left out. */
export function fusedSets(layers: ReadonlySet<string>): readonly (readonly string[])[] {
  const sets = new Map<string, string[]>();
  for (const layer of layers) {
    const dot = layer.lastIndexOf('.');
    const part = layer.slice(dot + 1);
    const set = SETS.findIndex((parts) => parts.includes(part));
    if (set === -1) continue;
    const key = `${layer.slice(0, dot + 1)}${set}`;
    const known = sets.get(key);
    if (known === undefined) sets.set(key, [layer]);
    else known.push(layer);
  }
  return [...sets.values()];
}
