/** What is said of a file that no family fits: the families that came closest and what they lacked, or what the file's names look like. */
import { formatInteger } from '../../base/format';
import type { Header } from '../safetensors/header';

/** A family whose first tensor is there, but not all the rest. */
export interface Miss {
  readonly title: string;
  readonly factsMet: number;
  /** `… is missing`, without the full stop. */
  readonly obstacle: string;
}

const CLOSEST = 3;

export function unknownEvidence(header: Header, misses: readonly Miss[], familyCount: number): readonly string[] {
  if (header.tensors.length === 0) return ['The file has no tensors.'];
  const closest = [...new Map(misses.map((miss) => [miss.title, miss])).values()]
    .sort((a, b) => b.factsMet - a.factsMet)
    .slice(0, CLOSEST)
    .map(({ title, obstacle }) => `Not ${title}: ${obstacle}.`);
  return [`None of the ${familyCount} known families has tensors of these names and shapes.`, ...closest, commonName(header)];
}

/** Numbers in names count blocks, so names that differ in them alone are of one kind. */
function commonName(header: Header): string {
  const counts = new Map<string, number>();
  for (const { name } of header.tensors) {
    const kind = name.replaceAll(/\d+/g, '#');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const [kind, count] = [...counts].reduce((most, next) => (next[1] > most[1] ? next : most));
  return `The most frequent name is \`${kind}\` (${formatInteger(count)} of ${formatInteger(header.tensors.length)} tensors).`;
}
