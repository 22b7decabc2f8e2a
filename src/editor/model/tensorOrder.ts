/** TensorOrder: tensors in the orders that the table asks for. An order is computed once. Pure. */
import type { ListedTensor } from './listedTensor';
import type { Order, SortColumn } from '../../webview/protocol/views';

const ACTION_RANK = { quantize: 0, keep: 1, remove: 2 } as const;

export class TensorOrder {
  readonly #orders = new Map<string, Uint32Array>();
  #naturalKeys: readonly string[] | undefined;

  constructor(private readonly tensors: readonly ListedTensor[]) {}

  /** The same tensors with other decisions: every order but that by action is as it was. */
  withDecisions(tensors: readonly ListedTensor[]): TensorOrder {
    const order = new TensorOrder(tensors);
    order.#naturalKeys = this.#naturalKeys;
    for (const [key, indexes] of this.#orders) if (!key.startsWith('action ')) order.#orders.set(key, indexes);
    return order;
  }

  /** Indexes into the tensors. */
  sorted(order: Order): Uint32Array {
    const key = `${order.column} ${order.direction}`;
    const known = this.#orders.get(key);
    if (known !== undefined) return known;
    const made = this.#sort(order);
    this.#orders.set(key, made);
    return made;
  }

  #sort({ column, direction }: Order): Uint32Array {
    const { tensors } = this;
    const indexes = Uint32Array.from(tensors, (_, index) => index);
    const turn = direction === 'ascending' ? 1 : -1;
    if (column === 'file') return turn === 1 ? indexes : indexes.reverse();
    this.#naturalKeys ??= tensors.map(({ source }) => naturalKey(source.name));
    const names = this.#naturalKeys;
    if (column === 'name') return indexes.sort((a, b) => turn * compareKeys(names[a], names[b]) || a - b);
    const keys = keysOf(tensors, column);
    return indexes.sort((a, b) => turn * compareKeys(keys[a], keys[b]) || compareKeys(names[a], names[b]) || a - b);
  }
}

function keysOf(tensors: readonly ListedTensor[], column: Exclude<SortColumn, 'file' | 'name'>): readonly (string | number)[] {
  switch (column) {
    case 'dtype':
      return tensors.map(({ source }) => source.dtype);
    case 'shape':
      return tensors.map(({ source }) => source.shape.reduce((product, size) => product * size, 1));
    case 'bytes':
      return tensors.map(({ source }) => source.end - source.begin);
    case 'action':
      return tensors.map(({ action }) => (action === undefined ? 0 : ACTION_RANK[action]));
  }
}

export function compareKeys(left: string | number | undefined, right: string | number | undefined): number {
  return (left ?? 0) < (right ?? 0) ? -1 : (left ?? 0) > (right ?? 0) ? 1 : 0;
}

/** A key whose plain order puts `layers.2` before `layers.10`: each run of digits is preceded by how many there are. */
export function naturalKey(name: string): string {
  return name.replace(/\d+/g, (digits) => {
    const significant = digits.replace(/^0+(?=\d)/, '');
    return `${String.fromCharCode(0x30 + Math.min(significant.length, 0x1000))}${significant}`;
  });
}
