import { describe, expect, it } from 'vitest';
import { atOnce } from '../../../src/base/slices';
import { Inventory } from '../../../src/editor/model/inventory';
import { makePlan } from '../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../src/engine/plan/recipe';
import type { Dtype } from '../../../src/engine/dtype';
import { parseHeader } from '../../../src/engine/safetensors/parseHeader';
import { COLLAPSED, NO_FILTERS, type Query } from '../../../src/webview/protocol/query';
import type { Order } from '../../../src/webview/protocol/views';

const inventory = inventoryOf([
  ['model.layers.10.fc.weight', 'F16', [64, 64]],
  ['model.layers.2.fc.weight', 'BF16', [128, 64]],
  ['model.layers.2.fc.bias', 'F32', [128]],
  ['model.layers.1.fc.weight', 'F16', [32, 16]],
  ['step', 'F32', []],
]);

describe('the list', () => {
  it('sorts names as people count', () => {
    expect(namesIn({ column: 'name', direction: 'ascending' })).toEqual([
      'model.layers.1.fc.weight',
      'model.layers.2.fc.bias',
      'model.layers.2.fc.weight',
      'model.layers.10.fc.weight',
      'step',
    ]);
  });

  it('turns an order without turning the names within equal values', () => {
    expect(namesIn({ column: 'dtype', direction: 'descending' })).toEqual([
      'model.layers.2.fc.bias',
      'step',
      'model.layers.1.fc.weight',
      'model.layers.10.fc.weight',
      'model.layers.2.fc.weight',
    ]);
    expect(namesIn({ column: 'bytes', direction: 'descending' })[0]).toBe('model.layers.2.fc.weight');
  });

  it('gives no more rows than there are, and finds each tensor where it shows it', () => {
    const asked = query({ order: { column: 'action', direction: 'ascending' } });
    expect(inventory.rows(asked, 2, 500).rows).toHaveLength(3);
    expect(inventory.rows(asked, 9, 12).rows).toEqual([]);
    for (const [index, row] of inventory.rows(asked, 0, 5).rows.entries()) {
      expect(row.kind === 'tensor' && inventory.locate(asked, row)).toBe(index);
    }
    expect(inventory.locate(asked, { kind: 'tensor', tensor: 99 })).toBe(-1);
  });

  it('finds by words, globs and regular expressions, and counts what it finds', () => {
    expect(found('FC bias')).toEqual(['model.layers.2.fc.bias']);
    expect(found('*.weight')).toHaveLength(3);
    expect(found('layers.?.fc')).toHaveLength(3);
    expect(found('/layers\\.[12]\\..*weight$/')).toEqual(['model.layers.1.fc.weight', 'model.layers.2.fc.weight']);
    const { count, tensors, bytes } = inventory.rows(query({ search: 'bias' }), 0, 10);
    expect([count, tensors, bytes]).toEqual([1, 1, 512]);
  });

  it('says what is wrong with an expression, and filters nothing by it', () => {
    const { problem, count } = inventory.rows(query({ search: '/layers.(/' }), 0, 10);
    expect(problem).toMatch(/unterminated group/i);
    expect(count).toBe(5);
  });

  it('filters by each property, and by several at once', () => {
    const filtered = (filters: Partial<Query['filters']>): number =>
      inventory.rows(query({ filters: { ...NO_FILTERS, ...filters } }), 0, 9).count;
    expect(filtered({ dtypes: ['F16'] })).toBe(2);
    expect(filtered({ dtypes: ['F16', 'BF16'] })).toBe(3);
    expect(filtered({ ranks: [0] })).toBe(1);
    expect(filtered({ ranks: [2], dtypes: ['BF16'] })).toBe(1);
    expect(filtered({ sizes: ['large'] })).toBe(0);
    expect(filtered({ sizes: ['tiny'] })).toBe(5);
    expect(filtered({ actions: ['remove'] })).toBe(0);
    expect(filtered({ deciders: ['rules'] })).toBe(5);
    expect(filtered({ deciders: ['override'] })).toBe(0);
  });
});

describe('the tree', () => {
  const tree = (change: Partial<Query> = {}): readonly string[] =>
    inventory
      .rows(query({ form: 'tree', ...change }), 0, 99)
      .rows.map((row) => `${'  '.repeat(row.depth)}${row.label}${row.kind === 'group' ? ` (${row.tensors})` : ''}`);

  it('shows groups that hold a single group as one, and begins collapsed', () => {
    expect(tree()).toEqual(['model.layers. (4)', 'step']);
  });

  it('opens what is to be open, in the order of the names', () => {
    expect(tree({ expansion: { groups: 'expanded', except: ['model.layers.10.fc.'] } })).toEqual([
      'model.layers. (4)',
      '  1.fc. (1)',
      '    weight',
      '  2.fc. (2)',
      '    bias',
      '    weight',
      '  10.fc. (1)',
      'step',
    ]);
  });

  it('sorts groups by what is in them, and leaves out what is not searched for', () => {
    const bySize: Order = { column: 'bytes', direction: 'descending' };
    const one = { groups: 'collapsed', except: ['model.layers.'] } as const;
    expect(tree({ order: bySize, expansion: one })).toEqual(['model.layers. (4)', '  2.fc. (2)', '  10.fc. (1)', '  1.fc. (1)', 'step']);
    expect(tree({ search: 'weight', order: bySize, expansion: one })).toEqual([
      'model.layers. (3)',
      '  2.fc. (1)',
      '  10.fc. (1)',
      '  1.fc. (1)',
    ]);
  });

  it('finds each group and tensor where it shows it, and a hidden group in the collapsed one around it', () => {
    const open = query({ form: 'tree', expansion: { groups: 'expanded', except: [] } });
    const { rows } = inventory.rows(open, 0, 99);
    expect(rows.map((row) => inventory.locate(open, row))).toEqual(rows.map((_, index) => index));
    const inner = { kind: 'group', path: 'model.layers.2.fc.' } as const;
    expect(inventory.locate(query({ form: 'tree' }), inner)).toBe(0);
    expect(inventory.locate({ ...open, search: 'step' }, inner)).toBe(-1);
    expect(inventory.locate(query({ form: 'list' }), inner)).toBe(-1);
  });

  it('rolls up sizes and actions, and a collapsed group stands for all that is in it', () => {
    const asked = query({ form: 'tree' });
    const [group] = inventory.rows(asked, 0, 1).rows;
    expect(group).toMatchObject({
      kind: 'group',
      tensors: 4,
      bytes: 64 * 64 * 2 + 128 * 64 * 2 + 512 + 32 * 16 * 2,
      dtypes: ['BF16', 'F16', 'F32'],
    });
    expect(inventory.tensors(asked, 0, 1)).toHaveLength(4);
    expect(inventory.tensors({ ...asked, search: 'bias' }, 0, 1)).toHaveLength(1);
    const open = query({ form: 'tree', expansion: { groups: 'expanded', except: [] } });
    expect(inventory.tensors(open, 0, 1)).toHaveLength(4);
    expect(inventory.tensors(open, 0, 3)).toHaveLength(1);
  });
});

describe('20,000 tensors', () => {
  const large = inventoryOf(
    Array.from(
      { length: 20_000 },
      (_, i) => [`blocks.${(i * 7919) % 20_000}.attn.${i % 2 === 0 ? 'q' : 'k'}.weight`, 'F16', [2, 2]] as const,
    ),
  );

  it('are sorted', () => {
    const [first] = large.rows(query({}), 0, 128).rows;
    expect(first?.kind === 'tensor' && first.name).toBe('blocks.0.attn.q.weight');
  });

  it('are searched and grouped at every keystroke', () => {
    large.prepare();
    for (const form of ['list', 'tree'] as const) {
      for (const search of ['b', 'blocks.1', '*.q.*', '/9\\.attn/']) {
        expect(large.rows(query({ search, form, expansion: { groups: 'expanded', except: [] } }), 0, 128).rows).toHaveLength(128);
      }
    }
  });
});

function query(change: Partial<Query>): Query {
  return {
    search: '',
    filters: NO_FILTERS,
    order: { column: 'name', direction: 'ascending' },
    form: 'list',
    expansion: COLLAPSED,
    ...change,
  };
}

function found(search: string): readonly string[] {
  return inventory.rows(query({ search }), 0, 10).rows.map((row) => (row.kind === 'tensor' ? row.name : row.path));
}

function namesIn(order: Order): readonly string[] {
  return inventory.rows(query({ order }), 0, 10).rows.map((row) => (row.kind === 'tensor' ? row.name : row.path));
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
  return new Inventory(makePlan(header, defaultRecipe(), { toolVersion: '0.0.0' }).tensors);
}

describe('a model in several files', () => {
  it.each<[readonly string[], readonly (string | undefined)[]]>([
    [
      ['/m/model-1.safetensors', '/m/model-2.safetensors'],
      ['model-2.safetensors', 'model-1.safetensors', 'model-1.safetensors'],
    ],
    [['/m/model.safetensors'], [undefined, undefined, undefined]],
  ])('of %j, rows say which one has them, in the list and in the tree', (files, expected) => {
    const listed = [1, 0, undefined].map((file, i) => ({
      source: { name: `part.${i}.weight`, dtype: 'F16' as const, shape: [2], begin: 0, end: 4, ...(file === undefined ? {} : { file }) },
    }));
    const several = new Inventory(listed, files);
    for (const form of ['list', 'tree'] as const) {
      const everything = {
        search: '',
        filters: NO_FILTERS,
        order: { column: 'file', direction: 'ascending' },
        form,
        expansion: { groups: 'expanded', except: [] },
      } as const;
      const rows = several.rows(everything, 0, 99).rows.flatMap((row) => (row.kind === 'tensor' ? [row.shard] : []));
      expect([form, rows]).toEqual([form, expected]);
    }
  });
});

describe('other decisions about the same tensors', () => {
  const sources = ['b.weight', 'a.weight', 'c.weight'].map((name) => ({ name, dtype: 'F16' as const, shape: [2], begin: 0, end: 4 }));
  const decided = (actions: readonly ('keep' | 'quantize')[]) =>
    sources.map((source, i) => ({ source, action: actions[i] ?? 'keep', rule: 'override' as const, reason: `now ${actions[i]}` }));
  const rowsOf = (from: Inventory, change: Partial<Query>) =>
    from.rows(query(change), 0, 9).rows.map((row) => (row.kind === 'tensor' ? [row.name, row.reason] : [row.path, row.actions.quantize]));
  const byAction = { order: { column: 'action', direction: 'ascending' } } as const;

  it('are shown, filtered and sorted by, in the list and in the tree', () => {
    const before = new Inventory(decided(['keep', 'keep', 'quantize']));
    atOnce(before.prepare());
    expect(rowsOf(before, byAction)[0]).toEqual(['c.weight', 'now quantize']);
    expect(rowsOf(before, { form: 'tree' })).toEqual([
      ['a.', 0],
      ['b.', 0],
      ['c.', 1],
    ]);
    const after = before.withDecisions(decided(['quantize', 'keep', 'keep']));
    expect(rowsOf(after, byAction).map(([name]) => name)).toEqual(['b.weight', 'a.weight', 'c.weight']);
    expect(rowsOf(after, { filters: { ...NO_FILTERS, actions: ['quantize'] } })).toEqual([['b.weight', 'now quantize']]);
    expect(rowsOf(after, { form: 'tree' })).toEqual([
      ['a.', 0],
      ['b.', 1],
      ['c.', 0],
    ]);
    const overrides = { filters: { ...NO_FILTERS, deciders: ['override'] } } as const;
    expect(rowsOf(after, overrides)).toHaveLength(3);
    expect(after.rows(query({ form: 'tree', ...overrides }), 0, 1).rows).toMatchObject([{ path: 'a.', overridden: 1 }]);
    expect(rowsOf(after, { search: 'C' })).toEqual([['c.weight', 'now keep']]);
  });
});
