import { describe, expect, it } from 'vitest';
import { pageDataBlock } from '../../../src/editor/pageData';

describe('pageDataBlock', () => {
  it('holds any text of a file without ending early, and gives it back', () => {
    const data = { name: '</script><script>alert(1)</script><!-- ', value: 'a < b & "c" \u2028' };
    const block = pageDataBlock('first', data);
    const text = /^<script type="application\/json" id="first">(.*)<\/script>$/s.exec(block)?.[1] ?? '';
    expect(text).not.toContain('<');
    expect(JSON.parse(text)).toEqual(data);
  });
});
