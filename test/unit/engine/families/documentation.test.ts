/** docs/families.md says what the table says: every family has a row and a section, and every rule is in its section with its reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FAMILIES } from '../../../../src/engine/families/families';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/families.md'), 'utf8');
const sections = new Map(page.split(/^### /m).map((section) => [section.split('\n')[0] ?? '', section] as const));

test.each(FAMILIES)('$title', ({ id, title, keep, remove, notes, signatures }) => {
  expect(page).toContain(`| [${title}](#${id}) |`);
  const section = sections.get(id) ?? '';
  const missing = [...keep, ...(remove ?? [])].filter(({ pattern, reason }) => {
    const line = section.split('\n').find((text) => text.endsWith(`: ${reason}`)) ?? '';
    return !line.includes(pattern === '' ? 'everything' : `\`${pattern}\``);
  });
  expect(missing).toEqual([]);
  for (const { text } of notes ?? []) expect(section).toContain(text);
  for (const { naming } of signatures) expect(section).toContain(naming);
});
