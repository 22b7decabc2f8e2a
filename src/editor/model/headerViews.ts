/** What the head of the inventory says of a header: the model, its metadata, and what its filters can choose from. Pure. */
import { formatQuantity } from '../../base/format';
import { familyOf } from '../../engine/families/families';
import type { RecognisedComponent } from '../../engine/families/recognise';
import { modelFamily } from '../../engine/plan/modelFamily';
import type { Header, TensorInfo } from '../../engine/safetensors/header';
import { SIZE_CLASSES } from '../../webview/protocol/query';
import type { ArchitectureView, FacetShare, MetadataEntry } from '../../webview/protocol/views';
import { sizeClassOf } from './inventory';

/** Values are sent whole up to here; of a longer one, the beginning. */
const PREVIEW_CHARACTERS = 240;

export function architectureView(header: Header): { readonly architecture?: ArchitectureView } {
  const { recognition } = modelFamily(header);
  if (recognition.components.length === 0) return {};
  const titles = recognition.components.map(({ family }) => familyOf(family).title);
  const [main = '', ...others] = titles;
  const title = others.length === 0 ? main : `${main} with ${others.join(', ')}`;
  return { architecture: { title, parts: recognition.components.map(partOf) } };
}

function partOf({ family, prefix, naming, evidence, tensorCount }: RecognisedComponent): ArchitectureView['parts'][number] {
  const { title, category } = familyOf(family);
  const place = prefix === '' ? [] : [`under ${prefix.replace(/\.$/, '')}`];
  return { title, detail: [category, `${naming} names`, formatQuantity(tensorCount, 'tensor'), ...place].join(' · '), evidence };
}

export function metadataView(metadata: ReadonlyMap<string, string>): readonly MetadataEntry[] {
  return [...metadata].map(([key, value]) => ({
    key,
    preview: value.slice(0, PREVIEW_CHARACTERS),
    length: value.length,
    kind: isJson(value) ? 'json' : 'text',
  }));
}

/** Objects and lists alone: a number is as well read as text. */
function isJson(value: string): boolean {
  if (!/^\s*[{[]/.test(value)) return false;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

export function rankShares(tensors: readonly TensorInfo[]): readonly FacetShare<number>[] {
  return [...counted(tensors, ({ shape }) => shape.length)].sort((a, b) => a.value - b.value);
}

export function sizeShares(tensors: readonly TensorInfo[]): readonly FacetShare<string>[] {
  const shares = counted(tensors, ({ begin, end }) => sizeClassOf(end - begin));
  return SIZE_CLASSES.flatMap(({ id }) => shares.find(({ value }) => value === id) ?? []);
}

function counted<T>(tensors: readonly TensorInfo[], valueOf: (tensor: TensorInfo) => T): readonly FacetShare<T>[] {
  const counts = new Map<T, number>();
  for (const tensor of tensors) counts.set(valueOf(tensor), (counts.get(valueOf(tensor)) ?? 0) + 1);
  return [...counts].map(([value, count]) => ({ value, tensors: count }));
}
