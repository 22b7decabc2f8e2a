import { describe, expect, it } from 'vitest';
import { escapeMarkdown, inlineCode, table } from '../../../src/editor/report/markdown';

describe('markdown', () => {
  it('lets no name break out of its place', () => {
    expect(inlineCode('model.layers.0.weight')).toBe('`model.layers.0.weight`');
    expect(inlineCode('a`b')).toBe('``a`b``');
    expect(inlineCode('`')).toBe('`` ` ``');
    expect(inlineCode('a|b\nc')).toBe('`a\\|b c`');
    expect(inlineCode(' ')).toBe('(no name)');
    expect(inlineCode('n'.repeat(100_000)).length).toBeLessThan(250);
    expect(escapeMarkdown('<img src=x>\n# [x](y) a_b')).toBe('\\<img src=x\\> \\# \\[x\\](y) a\\_b');
  });

  it('aligns numbers to the end', () => {
    expect(table([{ title: 'Name' }, { title: 'Size', align: 'end' }], [['w', '1 B']])).toBe(
      '| Name | Size |\n| --- | ---: |\n| w | 1 B |',
    );
  });
});
