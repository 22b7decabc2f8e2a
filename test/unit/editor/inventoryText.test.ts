import { expect, it } from 'vitest';
import { hexDump } from '../../../src/editor/model/hexDump';
import { inventoryText } from '../../../src/editor/model/inventoryText';
import { makePlan } from '../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../src/engine/plan/recipe';
import { headerOf } from '../../support/headerOf';

const header = headerOf({ 'a,"b".weight': ['BF16', 64, 64], '=SUM(1)': ['F32', 2] }, { note: 'kept' });
const { tensors } = makePlan(header, defaultRecipe(), { toolVersion: '0.0.0' });

it('writes CSV that spreadsheets read as it is meant', () => {
  const [head, second, first] = inventoryText('csv', 'm.safetensors', header, tensors).split('\n');
  expect(head).toBe('name,dtype,shape,bytes,parameters,begin,end,action,target_dtype,reason');
  expect(first).toMatch(/^"a,""b"".weight",BF16,64x64,8192,4096,\d+,\d+,/);
  expect(second).toMatch(/^'=SUM\(1\),F32,2,8,2,/);
});

it('writes JSON with the metadata', () => {
  const written = JSON.parse(inventoryText('json', 'm.safetensors', header, tensors)) as unknown;
  expect(written).toMatchObject({ file: 'm.safetensors', metadata: { note: 'kept' }, tensors: [{ bytes: 8 }, { shape: [64, 64] }] });
});

it('shows bytes with their places in the file', () => {
  const tensor = header.byName.get('a,"b".weight');
  if (tensor === undefined) throw new Error('there is no tensor');
  const dump = hexDump(tensor, new TextEncoder().encode('0123456789ABCDEF~\u0001'));
  const [, , first, second] = dump.split('\n');
  expect(first).toBe(`${tensor.begin.toString(16).padStart(8, '0')}  30 31 32 33 34 35 36 37  38 39 41 42 43 44 45 46  0123456789ABCDEF`);
  expect(second).toMatch(/ 7e 01 {2}.* {2}~\.$/);
  expect(dump).toMatch(/8,174 more bytes/);
});
