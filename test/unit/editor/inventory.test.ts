import { describe, expect, it } from 'vitest';
import { Inventory } from '../../../src/editor/model/inventory';
import { makePlan } from '../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../src/engine/plan/recipe';
import type { Dtype } from '../../../src/engine/dtype';
import { parseHeader } from '../../../src/engine/safetensors/parseHeader';
import type { Order } from '../../../src/webview/protocol/views';

const inventory = inventoryOf([
  ['model.layers.10.fc.weight', 'F16', [64, 64]],
  ['model.layers.2.fc.weight', 'BF16', [128, 64]],
  ['model.layers.2.fc.bias', 'F32', [128]],
  ['model.layers.1.fc.weight', 'F16', [32, 16]],
]);

describe('Inventory', () => {
  it('sorts names as people count', () => {
    expect(namesIn({ column: 'name', direction: 'ascending' })).toEqual([
      'model.layers.1.fc.weight',
      'model.layers.2.fc.bias',
      'model.layers.2.fc.weight',
      'model.layers.10.fc.weight',
    ]);
  });

  it('turns an order without turning the names within equal values', () => {
    expect(namesIn({ column: 'dtype', direction: 'descending' })).toEqual([
      'model.layers.2.fc.bias',
      'model.layers.1.fc.weight',
      'model.layers.10.fc.weight',
      'model.layers.2.fc.weight',
    ]);
    expect(namesIn({ column: 'bytes', direction: 'descending' })[0]).toBe('model.layers.2.fc.weight');
  });

  it('gives no more rows than there are, and finds each tensor where it shows it', () => {
    const order: Order = { column: 'action', direction: 'ascending' };
    const rows = inventory.rows(order, 2, 500);
    expect(rows).toHaveLength(2);
    expect(inventory.rows(order, 9, 12)).toEqual([]);
    for (const [index, row] of inventory.rows(order, 0, 4).entries()) expect(inventory.locate(order, row.tensor)).toBe(index);
    expect(inventory.locate(order, 99)).toBe(-1);
  });

  it('sorts and locates in 20,000 tensors within a frame or two', () => {
    const large = inventoryOf(
      Array.from({ length: 20_000 }, (_, i) => [`blocks.${(i * 7919) % 20_000}.attn.weight`, 'F16', [2, 2]] as const),
    );
    const start = performance.now();
    const [first] = large.rows({ column: 'name', direction: 'ascending' }, 0, 128);
    expect(first?.name).toBe('blocks.0.attn.weight');
    // Generous: a shared machine may be several times slower than the 55 ms measured.
    expect(performance.now() - start).toBeLessThan(500);
  });
});

function namesIn(order: Order): readonly string[] {
  return inventory.rows(order, 0, 10).map(({ name }) => name);
}

function inventoryOf(tensors: readonly (readonly [name: string, dtype: Dtype, shape: readonly number[]])[]): Inventory {
  const bytesOf = { F16: 2, BF16: 2, F32: 4 } as const;
  let end = 0;
  const entries = tensors.map(([name, dtype, shape]) => {
    const begin = end;
    end += shape.reduce((a, b) => a * b, 1) * bytesOf[dtype as keyof typeof bytesOf];
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const prefix = new Uint8Array(8 + json.length);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(json.length), true);
  prefix.set(json, 8);
  const header = parseHeader(prefix, prefix.length + end);
  return new Inventory(makePlan(header, defaultRecipe(), { toolVersion: '0.0.0' }));
}
