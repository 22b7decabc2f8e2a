/** Inventory: a plan's tensors as the table asks for them: searched, filtered, sorted, as a list or a tree, a window at a time. Pure. */
import { basename } from 'node:path';
import { formatShape } from '../../base/format';
import { nameFilter } from '../../base/nameFilter';
import { atOnce, slicedMap, type Sliced } from '../../base/slices';
import type { PlannedTensor } from '../../engine/plan/plan';
import { choiceText } from '../../engine/plan/steering';
import type { TensorInfo } from '../../engine/safetensors/header';
import type { RowKey } from '../../webview/protocol/inventoryApi';
import {
  SIZE_CLASSES,
  type Filters,
  type Query,
  type RowsReply,
  type SizeClass,
  type TableRow,
  type TensorRow,
} from '../../webview/protocol/query';
import type { Decider } from '../../webview/protocol/views';
import { deciderOf, type ListedTensor } from './listedTensor';
import { TensorOrder } from './tensorOrder';
import { treeInSlices, type TreeGroup } from './tensorTree';
import { groupRow, membersOf, treeRows, type TreeEntry } from './treeRows';

/** Which tensors, in which order, or which groups and tensors. */
interface Answer {
  readonly entries: Uint32Array | readonly (number | TreeEntry)[];
  readonly tensors: number;
  readonly bytes: number;
  readonly problem?: string;
}

/** A keystroke back, the other form and the other direction are answered at once. */
const KEPT_ANSWERS = 12;

export class Inventory {
  #orders: TensorOrder;
  /** In the order of their last use. */
  readonly #answers = new Map<string, Answer>();
  #lowerCase: readonly string[] | undefined;
  #tree: TreeGroup | undefined;

  /** In the order of the file, or of the files of a model that has several. */
  constructor(
    private readonly all: readonly ListedTensor[],
    private readonly files: readonly string[] = [],
  ) {
    this.#orders = new TensorOrder(all);
  }

  /** The same tensors with other decisions about them: what their names and sizes decide is kept. */
  withDecisions(all: readonly ListedTensor[]): Inventory {
    const inventory = new Inventory(all, this.files);
    inventory.#orders = this.#orders.withDecisions(all);
    inventory.#lowerCase = this.#lowerCase;
    inventory.#tree = this.#tree;
    return inventory;
  }

  /** Makes what a first search and a first look at the tree need, so that neither has to wait for it. */
  *prepare(): Sliced<void> {
    this.#lowerCase ??= yield* slicedMap(this.all, ({ source }) => source.name.toLowerCase());
    this.#tree ??= yield* treeInSlices(this.all.map(({ source }) => source.name));
  }

  rows(query: Query, start: number, end: number): RowsReply {
    const { entries, tensors, bytes, problem } = this.#answer(query);
    const first = Math.min(Math.max(0, start), entries.length);
    const rows = Array.from(entries.slice(first, Math.max(first, end)), (entry): TableRow =>
      typeof entry === 'number'
        ? this.#listRow(entry)
        : entry.kind === 'group'
          ? groupRow(entry, this.all)
          : this.#row(entry.tensor, entry.depth, entry.label),
    );
    return { count: entries.length, tensors, bytes, rows, ...(problem === undefined ? {} : { problem }) };
  }

  /** Of a group in a collapsed one, the row of that; −1 where the query does not show it. */
  locate(query: Query, row: RowKey): number {
    const { entries } = this.#answer(query);
    if (entries instanceof Uint32Array) return row.kind === 'tensor' ? entries.indexOf(row.tensor) : -1;
    return entries.findIndex((entry) => typeof entry !== 'number' && isRowOf(entry, row));
  }

  /** The tensors of rows `start` ≤ i < `end`; a group that is collapsed, or asked for alone, stands for all that is in it. */
  tensors(query: Query, start: number, end: number): readonly number[] {
    const { entries } = this.#answer(query);
    const found = new Set<number>();
    for (const entry of entries.slice(start, end)) {
      if (typeof entry === 'number') found.add(entry);
      else if (entry.kind === 'tensor') found.add(entry.tensor);
      else if (entry.state === 'collapsed' || end - start === 1) for (const tensor of membersOf(entry.chosen)) found.add(tensor);
    }
    return [...found];
  }

  tensor(index: number): ListedTensor | undefined {
    return this.all[index];
  }

  #answer(query: Query): Answer {
    const key = JSON.stringify(query);
    const known = this.#answers.get(key);
    const answer = known ?? this.#find(query);
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= KEPT_ANSWERS) break;
      this.#answers.delete(oldest);
    }
    return answer;
  }

  #find({ search, filters, order, form, expansion }: Query): Answer {
    const filter = nameFilter(search);
    const sorted = this.#orders.sorted(order);
    const problem = filter.kind === 'invalid' ? { problem: filter.problem } : {};
    const passes = filterTest(filters);
    const tensors = this.all;
    let chosen = sorted;
    if (filter.kind === 'some' || passes !== undefined) {
      this.#lowerCase ??= tensors.map(({ source }) => source.name.toLowerCase());
      const lowerCase = this.#lowerCase;
      chosen = sorted.filter((index) => {
        const tensor = tensors[index];
        if (tensor === undefined || passes?.(tensor) === false) return false;
        return filter.kind !== 'some' || filter.matches(tensor.source.name, lowerCase[index] ?? '');
      });
    }
    let bytes = 0;
    for (const index of chosen) bytes += sizeOf(tensors[index]);
    const totals = { tensors: chosen.length, bytes, ...problem };
    if (form === 'list') return { entries: chosen, ...totals };
    this.#tree ??= atOnce(treeInSlices(tensors.map(({ source }) => source.name)));
    return { entries: treeRows(this.#tree, { tensors, chosen, order, expansion }), ...totals };
  }

  #listRow(tensor: number): TensorRow {
    return this.#row(tensor, 0, undefined);
  }

  /** Only of a model in several files. */
  #shard({ file = 0 }: TensorInfo): Pick<TensorRow, 'shard'> {
    const path = this.files.length > 1 ? this.files[file] : undefined;
    return path === undefined ? {} : { shard: basename(path) };
  }

  #row(tensor: number, depth: number, label: string | undefined): TensorRow {
    const planned = this.all[tensor];
    if (planned === undefined) throw new RangeError(`there is no tensor ${tensor}`);
    const { source } = planned;
    return {
      kind: 'tensor',
      depth,
      label: label ?? source.name,
      tensor,
      name: source.name,
      dtype: source.dtype,
      shape: source.exactShape?.join(' × ') ?? formatShape(source.shape),
      bytes: sizeOf(planned),
      ...this.#shard(source),
      ...(planned.action === undefined ? { reason: '' } : decided(planned)),
    };
  }
}

function decided(planned: PlannedTensor): Pick<TensorRow, 'action' | 'decider' | 'reason' | 'steering' | 'targetDtype'> {
  const { action, reason, quantization } = planned;
  const decision = { action, reason, decider: deciderOf(planned) };
  if (quantization === undefined) return decision;
  const { targetDtype, statistics } = quantization;
  return { ...decision, targetDtype, ...(statistics === undefined ? undefined : { steering: choiceText(statistics) }) };
}

function isRowOf(entry: TreeEntry, row: RowKey): boolean {
  if (row.kind === 'tensor') return entry.kind === 'tensor' && entry.tensor === row.tensor;
  if (entry.kind === 'tensor') return false;
  const { path } = entry.chosen.group;
  return entry.state === 'collapsed' ? row.path.startsWith(path) : row.path === path;
}

/** `undefined` where nothing is filtered. */
function filterTest({ dtypes, actions, deciders, ranks, sizes }: Filters): ((tensor: ListedTensor) => boolean) | undefined {
  if (dtypes.length + actions.length + deciders.length + ranks.length + sizes.length === 0) return undefined;
  const accepts = <T>(values: readonly T[]): ((value: T) => boolean) => {
    const set = new Set(values);
    return set.size === 0 ? () => true : (value) => set.has(value);
  };
  const dtype = accepts<string>(dtypes);
  const action = accepts<ListedTensor['action']>(actions);
  const decider = accepts<Decider | undefined>(deciders);
  const rank = accepts(ranks);
  const size = accepts(sizes);
  return (tensor: ListedTensor) =>
    dtype(tensor.source.dtype) &&
    action(tensor.action) &&
    decider(tensor.action === undefined ? undefined : deciderOf(tensor)) &&
    rank(tensor.source.shape.length) &&
    size(sizeClassOf(sizeOf(tensor)));
}

export function sizeClassOf(bytes: number): SizeClass {
  return SIZE_CLASSES.findLast(({ from }) => bytes >= from)?.id ?? 'tiny';
}

function sizeOf(tensor: ListedTensor | undefined): number {
  return tensor === undefined ? 0 : tensor.source.end - tensor.source.begin;
}
