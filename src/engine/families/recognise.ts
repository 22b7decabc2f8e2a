/**
 * recognise: a header → the families that its tensors belong to, with the evidence. Pure.
 *
 * Nothing is guessed: a family fits only where every tensor of a signature is there with its shape, and where two families that are not one
 * within the other fit the same tensors, neither is taken. File names and metadata are not looked at: people rename files.
 */
import type { Header } from '../safetensors/header';
import { FAMILIES, familyOf, type FamilyId, type KnownFamily } from './families';
import type { Category, Naming } from './family';
import { NamesByEnding } from './namesByEnding';
import { isUsualPrefix } from './prefixes';
import { anchorPlaces, meetSignature } from './signature';
import { unknownEvidence, type Miss } from './unknownEvidence';

export interface RecognisedComponent {
  readonly family: FamilyId;
  /** What stands before every name of the component. */
  readonly prefix: string;
  readonly naming: Naming;
  /** Sentences, each naming a tensor seen. */
  readonly evidence: readonly string[];
  readonly tensorCount: number;
}

export interface Recognition {
  /** The family of the component that the file is about: a diffusion model before its text encoders, and these before its autoencoder. */
  readonly family: FamilyId | 'unknown';
  readonly prefix: string;
  readonly naming: Naming | 'unknown';
  /** Why the family, or why none. */
  readonly evidence: readonly string[];
  /** Every component, the main one first. */
  readonly components: readonly RecognisedComponent[];
  /** Tensors in no component. */
  readonly unrecognised: { readonly tensorCount: number; readonly examples: readonly string[] };
}

type Match = Omit<RecognisedComponent, 'tensorCount'> & { readonly anchor: string };

const MAIN_FIRST: readonly Category[] = ['diffusion', 'video', 'language model', 'text encoder', 'autoencoder'];
const EXAMPLES = 3;

export function recognise(header: Header): Recognition {
  const { matches, misses } = matchAll(header);
  const { clear, disputes } = settle(matches);
  const owners = ownersByName(header, clear);
  const components = clear
    .map(({ family, prefix, naming, evidence }): RecognisedComponent => {
      const tensorCount = header.tensors.filter(({ name }) => owners.get(name) === prefix).length;
      return { family, prefix, naming, evidence, tensorCount };
    })
    .sort((a, b) => mainRank(a) - mainRank(b) || b.tensorCount - a.tensorCount);
  const outside = header.tensors.filter(({ name }) => !owners.has(name)).map(({ name }) => name);
  const unrecognised = { tensorCount: outside.length, examples: outside.slice(0, EXAMPLES) };
  const [main] = components;
  if (main === undefined || disputes.length > 0) {
    const evidence = disputes.length > 0 ? disputes : unknownEvidence(header, misses, FAMILIES.length);
    return { family: 'unknown', prefix: '', naming: 'unknown', evidence, components, unrecognised };
  }
  const { family, prefix, naming, evidence } = main;
  return { family, prefix, naming, evidence, components, unrecognised };
}

/** The prefix of the component that each tensor belongs to: the longest that its name begins with. */
export function ownersByName(header: Header, components: readonly { readonly prefix: string }[]): ReadonlyMap<string, string> {
  const longestFirst = components.map(({ prefix }) => prefix).sort((a, b) => b.length - a.length);
  return new Map(
    header.tensors.flatMap(({ name }) => {
      const prefix = longestFirst.find((candidate) => name.startsWith(candidate));
      return prefix === undefined ? [] : [[name, prefix] as const];
    }),
  );
}

function matchAll(header: Header): { readonly matches: readonly Match[]; readonly misses: readonly Miss[] } {
  const names = new NamesByEnding(header.byName.keys());
  const matches: Match[] = [];
  const misses: Miss[] = [];
  for (const family of FAMILIES) {
    for (const signature of family.signatures) {
      for (const { prefix, stem, name } of anchorPlaces(signature, names)) {
        const result = meetSignature(signature, prefix + stem, header.byName);
        if (result.kind === 'missed') {
          misses.push({ title: family.title, factsMet: result.factsMet, obstacle: result.obstacle });
        } else if (!isUsualPrefix(prefix)) {
          misses.push({ title: family.title, factsMet: result.evidence.length, obstacle: `\`${prefix}\` is no prefix of such a model` });
        } else {
          matches.push({ family: family.id, prefix, naming: signature.naming, evidence: result.evidence, anchor: name });
        }
      }
    }
  }
  return { matches, misses };
}

/** One family for each component; or, where more than one fits, a sentence that says so. */
function settle(matches: readonly Match[]): { readonly clear: readonly Match[]; readonly disputes: readonly string[] } {
  const clear: Match[] = [];
  const disputes: string[] = [];
  for (const [prefix, fitting] of groupByPrefix(withoutDoubles(matches))) {
    const meant = fitting.filter(({ family }) => !fitting.some((other) => specialises(familyOf(other.family), family)));
    const [only, ...others] = meant;
    if (only === undefined) continue;
    if (others.length === 0) clear.push(only);
    else disputes.push(dispute(prefix, meant));
  }
  return { clear, disputes };
}

/** The same tensor may be reached with a longer prefix and a shorter stem: the shortest prefix holds the whole component. */
function withoutDoubles(matches: readonly Match[]): readonly Match[] {
  const best = new Map<string, Match>();
  for (const match of [...matches].sort((a, b) => a.prefix.length - b.prefix.length)) {
    const reached = [...best.values()].find(({ family, anchor }) => family === match.family && anchor === match.anchor);
    const key = `${match.family} ${match.prefix}`;
    if (reached === undefined && !best.has(key)) best.set(key, match);
  }
  return [...best.values()];
}

function groupByPrefix(matches: readonly Match[]): ReadonlyMap<string, readonly Match[]> {
  const groups = new Map<string, Match[]>();
  for (const match of matches) groups.set(match.prefix, [...(groups.get(match.prefix) ?? []), match]);
  return groups;
}

function specialises(special: KnownFamily, general: FamilyId): boolean {
  return special.specialises?.includes(general) ?? false;
}

function dispute(prefix: string, fitting: readonly Match[]): string {
  const titles = fitting.map(({ family }) => familyOf(family).title).join(' and ');
  return `${titles} fit the tensors under \`${prefix}\` alike, so neither is assumed.`;
}

function mainRank({ family }: RecognisedComponent): number {
  return MAIN_FIRST.indexOf(familyOf(family).category);
}
