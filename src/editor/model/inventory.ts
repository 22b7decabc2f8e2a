/** Inventory: a plan's tensors in the orders that the table asks for, and the rows of a window. Pure; an order is computed once. */
import { formatShape } from '../../base/format';
import type { Plan, PlannedTensor } from '../../engine/plan/plan';
import type { Order, RowView, SortColumn } from '../../webview/protocol/views';

const ACTION_RANK = { quantize: 0, keep: 1, remove: 2 } as const;

export class Inventory {
  readonly #orders = new Map<string, Uint32Array>();

  constructor(private readonly plan: Plan) {}

  rows(order: Order, start: number, end: number): readonly RowView[] {
    const tensors = this.#order(order);
    const first = Math.min(Math.max(0, start), tensors.length);
    return Array.from(tensors.subarray(first, Math.max(first, end)), (tensor) => this.#row(tensor));
  }

  /** −1 where there is no such tensor. */
  locate(order: Order, tensor: number): number {
    return this.#order(order).indexOf(tensor);
  }

  #order(order: Order): Uint32Array {
    const key = `${order.column} ${order.direction}`;
    const known = this.#orders.get(key);
    if (known !== undefined) return known;
    const made = sorted(this.plan.tensors, order);
    this.#orders.set(key, made);
    return made;
  }

  #row(tensor: number): RowView {
    const planned = this.plan.tensors[tensor];
    if (planned === undefined) throw new RangeError(`there is no tensor ${tensor}`);
    const { source, action, reason, quantization } = planned;
    return {
      tensor,
      name: source.name,
      dtype: source.dtype,
      shape: source.exactShape?.join(' × ') ?? formatShape(source.shape),
      bytes: source.end - source.begin,
      action,
      reason,
      ...(quantization === undefined ? undefined : { targetDtype: quantization.targetDtype }),
    };
  }
}

function sorted(tensors: readonly PlannedTensor[], { column, direction }: Order): Uint32Array {
  const indexes = Uint32Array.from(tensors, (_, index) => index);
  const turn = direction === 'ascending' ? 1 : -1;
  const byName = compared(tensors.map(({ source }) => naturalKey(source.name)));
  const byColumn = compared(keysOf(tensors, column));
  return indexes.sort((a, b) => turn * byColumn(a, b) || byName(a, b) || a - b);
}

function keysOf(tensors: readonly PlannedTensor[], column: SortColumn): readonly (string | number)[] {
  switch (column) {
    case 'file':
      return tensors.map((_, index) => index);
    case 'name':
      return tensors.map(({ source }) => naturalKey(source.name));
    case 'dtype':
      return tensors.map(({ source }) => source.dtype);
    case 'shape':
      return tensors.map(({ source }) => source.shape.reduce((product, size) => product * size, 1));
    case 'bytes':
      return tensors.map(({ source }) => source.end - source.begin);
    case 'action':
      return tensors.map(({ action }) => ACTION_RANK[action]);
  }
}

function compared(keys: readonly (string | number)[]): (a: number, b: number) => number {
  return (a, b) => {
    const left = keys[a] ?? 0;
    const right = keys[b] ?? 0;
    return left < right ? -1 : left > right ? 1 : 0;
  };
}

/** A key whose plain order puts `layers.2` before `layers.10`: each run of digits is preceded by how many there are. */
export function naturalKey(name: string): string {
  return name.replace(/\d+/g, (digits) => {
    const significant = digits.replace(/^0+(?=\d)/, '');
    return `${String.fromCharCode(0x30 + Math.min(significant.length, 0x1000))}${significant}`;
  });
}
