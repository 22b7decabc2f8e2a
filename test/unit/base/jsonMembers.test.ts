/** One member of a JSON object changes, and not a byte of the others. */
import { describe, expect, it } from 'vitest';
import { withJsonMember, withoutJsonMembers } from '../../../src/base/jsonMembers';

const CONFIG = `{
    "rope_theta": 10000.0,
    "rms_norm_eps": 1e-05,
    "id": 123456789012345678901,
    "text": "a \\"quoted\\", {brace} and \\\\",
    "nested": {"added": [1.0, {"x": 2}], "quantization_config": 1}
}
`;

describe('withJsonMember', () => {
  it('adds behind the last, with the indentation of the text', () => {
    const text = withJsonMember(CONFIG, 'added', { a: [1], b: 'c' });
    expect(text).toBe(
      CONFIG.replace(
        '"quantization_config": 1}\n',
        '"quantization_config": 1},\n    "added": {\n        "a": [\n            1\n        ],\n        "b": "c"\n    }\n',
      ),
    );
    expect(JSON.parse(text)).toEqual({ ...(JSON.parse(CONFIG) as object), added: { a: [1], b: 'c' } });
  });

  it('replaces the value of one that is there, the last where it is there twice', () => {
    expect(withJsonMember(CONFIG, 'rms_norm_eps', true)).toBe(CONFIG.replace('1e-05', 'true'));
    expect(withJsonMember('{"a": {"b": 1.0}, "b": 2.0 , "c":3.0}', 'b', [4])).toBe('{"a": {"b": 1.0}, "b": [4] , "c":3.0}');
    expect(withJsonMember('{"a":1,"a":2}', 'a', 3)).toBe('{"a":1,"a":3}');
  });

  it('takes texts in one line, and empty objects', () => {
    expect(withJsonMember('{"a":1.0,"b":2.0}', 'c', [3])).toBe('{"a":1.0,"b":2.0,"c": [3]}');
    expect(JSON.parse(withJsonMember(' { } ', 'c', 1))).toEqual({ c: 1 });
  });
});

describe('withoutJsonMembers', () => {
  it.each([
    ['{"a": 1.0, "b": 2.0, "c": 3.0}', ['a'], '{"b": 2.0, "c": 3.0}'],
    ['{"a": 1.0, "b": {"a": ","}, "c": 3.0}', ['b'], '{"a": 1.0, "c": 3.0}'],
    ['{"a": 1.0, "b": 2.0}', ['b', 'c'], '{"a": 1.0}'],
    ['{"a": 1.0}', ['a'], '{}'],
    [CONFIG, ['quantization_config'], CONFIG],
    [CONFIG, ['id'], CONFIG.replace('    "id": 123456789012345678901,\n', '')],
  ])('%s without %s', (text, keys, expected) => {
    expect(withoutJsonMembers(text, keys)).toBe(expected);
  });
});
