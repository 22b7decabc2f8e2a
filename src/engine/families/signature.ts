/** Whether a signature is met by the tensors under a prefix, told in sentences that name what was seen. Pure. */
import type { TensorInfo } from '../safetensors/header';
import type { NamesByEnding } from './namesByEnding';
import type { Dimension, Signature, TensorFact } from './family';

export type TensorsByName = ReadonlyMap<string, TensorInfo>;

export type SignatureResult =
  | { readonly kind: 'met'; readonly evidence: readonly string[] }
  | { readonly kind: 'missed'; readonly factsMet: number; readonly obstacle: string };

/** Where the first tensor of a signature stands: everything before the names that the signature gives. */
export interface AnchorPlace {
  readonly prefix: string;
  readonly stem: string;
  /** The whole name of the tensor found. */
  readonly name: string;
}

export function anchorPlaces(signature: Signature, names: NamesByEnding): readonly AnchorPlace[] {
  const anchors = alternatives(nameOf(signature.tensors[0]));
  return (signature.stems ?? ['']).flatMap((stem) =>
    anchors.flatMap((anchor) => {
      const ending = stem + anchor;
      return names.endingIn(ending).map((name) => ({ prefix: name.slice(0, name.length - ending.length), stem, name }));
    }),
  );
}

/** `before` is the prefix with the stem. */
export function meetSignature(signature: Signature, before: string, tensors: TensorsByName): SignatureResult {
  const evidence: string[] = [];
  for (const fact of signature.tensors) {
    const found = find(fact, before, tensors);
    if (found === undefined) return { kind: 'missed', factsMet: evidence.length, obstacle: `\`${before}${nameOf(fact)}\` is missing` };
    if (!hasShape(found, fact)) {
      const obstacle = `\`${found.name}\` is ${shapeText(found.shape)}, not ${shapeText(shapeOf(fact) ?? [])}`;
      return { kind: 'missed', factsMet: evidence.length, obstacle };
    }
    evidence.push(`\`${found.name}\` is ${shapeText(found.shape)}.`);
  }
  for (const fact of signature.absent ?? []) {
    const found = find(fact, before, tensors);
    if (found !== undefined && hasShape(found, fact))
      return { kind: 'missed', factsMet: evidence.length, obstacle: `\`${found.name}\` does not belong to it` };
  }
  return { kind: 'met', evidence };
}

function find(fact: TensorFact, before: string, tensors: TensorsByName): TensorInfo | undefined {
  for (const name of alternatives(nameOf(fact))) {
    const tensor = tensors.get(before + name);
    if (tensor !== undefined) return tensor;
  }
  return undefined;
}

function hasShape(tensor: TensorInfo, fact: TensorFact): boolean {
  const wanted = shapeOf(fact);
  if (wanted === undefined) return true;
  return wanted.length === tensor.shape.length && wanted.every((size, index) => size === '*' || size === tensor.shape[index]);
}

function nameOf(fact: TensorFact): string {
  return typeof fact === 'string' ? fact : fact[0];
}

function shapeOf(fact: TensorFact): readonly Dimension[] | undefined {
  return typeof fact === 'string' ? undefined : fact[1];
}

/** `a.{b,c}.d` → `a.b.d`, `a.c.d`. */
function alternatives(name: string): readonly string[] {
  const match = /^(.*?)\{([^}]*)\}(.*)$/.exec(name);
  if (match === null) return [name];
  const [, before = '', choices = '', after = ''] = match;
  return choices.split(',').flatMap((choice) => alternatives(before + choice + after));
}

function shapeText(shape: readonly Dimension[]): string {
  return `[${shape.join(', ')}]`;
}
