/** The reports that are kept: found again in another window, newest first, and no more than there is room for. */
import { expect, it } from 'vitest';
import { relationOf, reportItem, tellsOf } from '../../../src/editor/report/reportEntry';
import { Reports } from '../../../src/editor/report/reports';
import type { JobReport } from '../../../src/engine/job/report';
import { jobReport } from '../../support/jobReport';
import { temporaryFolder } from '../../support/temporaryFolder';

const reportOf = (output: string): JobReport => jobReport({ output });

it('are listed newest first, also in another window, and read in full', async () => {
  await using folder = await temporaryFolder();
  const reports = new Reports(folder.path);
  expect(await reports.list()).toEqual([]);
  const first = reportOf('/models/first.safetensors');
  const second = reportOf('/models/second.safetensors');
  await reports.store(first);
  await reports.store(second);
  await reports.store(first);
  expect(reports.stored.value).toBe(2);
  const listed = await new Reports(folder.path).list();
  expect(listed.map(({ output }) => output)).toEqual(['/models/second.safetensors', '/models/first.safetensors']);
  expect(await new Reports(folder.path).read(listed[1]?.name ?? '')).toEqual(first);
  expect(reportItem(listed[0] ?? expect.fail())).toEqual({
    label: 'second.safetensors',
    description: expect.stringMatching(/\d/) as string,
    detail: 'Test CPU · 16 B → 12 B in 1.0 s · from /models/a.safetensors',
  });
});

it('are the last fifty', async () => {
  await using folder = await temporaryFolder();
  const reports = new Reports(folder.path);
  for (let i = 0; i < 52; i += 1) await reports.store(reportOf(`/models/${i}.safetensors`));
  const listed = await reports.list();
  expect(listed).toHaveLength(50);
  expect(listed.at(-1)?.output).toBe('/models/2.safetensors');
});

it.each<[string, boolean]>([
  ['/models/a.safetensors', true],
  ['/models/b.safetensors', true],
  ['/models/c.safetensors', false],
])('are found from their source and their output: %s', async (path, found) => {
  await using folder = await temporaryFolder();
  const reports = new Reports(folder.path);
  await reports.store(reportOf('/models/b.safetensors'));
  const entries = await reports.list();
  expect(entries.some((entry) => tellsOf(entry, path))).toBe(found);
  expect(relationOf(path, '/models/a.safetensors', entries)).toBe(path === '/models/b.safetensors' ? 'converted from it' : undefined);
  expect(relationOf(path, '/models/b.safetensors', entries)).toBe(path === '/models/a.safetensors' ? 'its source' : undefined);
});

it('are found from the index of an output in shards', async () => {
  await using folder = await temporaryFolder();
  const reports = new Reports(folder.path);
  await reports.store(reportOf('/models/b'));
  const [entry] = await reports.list();
  expect(entry !== undefined && tellsOf(entry, '/models/b/model.safetensors.index.json')).toBe(true);
});
