/** What the reference cases do not say: what a Header holds, and the corners of the header's grammar. */
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../../src/engine/errors';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';

const F32_PAIR = '"dtype":"F32","shape":[2],"data_offsets":[0,8]';

function fileOf(json: string | Uint8Array, dataBytes: number): { prefix: Uint8Array; size: number } {
  const text = typeof json === 'string' ? new TextEncoder().encode(json) : json;
  const prefix = new Uint8Array(8 + text.length);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(text.length), true);
  prefix.set(text, 8);
  return { prefix, size: prefix.length + dataBytes };
}

function parse(json: string | Uint8Array, dataBytes = 8) {
  const { prefix, size } = fileOf(json, dataBytes);
  return parseHeader(prefix, size);
}

function refusal(json: string | Uint8Array, dataBytes = 8): EngineError {
  try {
    parse(json, dataBytes);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('a Header', () => {
  it('has its tensors in file order, with ranges from the start of the file', () => {
    const json =
      '{"late":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"__metadata__":{"b":"1","a":"2"},"early":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}';
    const header = parse(json, 11);
    const start = 8 + json.length;
    expect(header.tensors).toEqual([
      { name: 'early', dtype: 'F32', shape: [2, 1], begin: start, end: start + 8 },
      { name: 'late', dtype: 'U8', shape: [3], begin: start + 8, end: start + 11 },
    ]);
    expect([...header.metadata]).toEqual([
      ['b', '1'],
      ['a', '2'],
    ]);
    expect(header.byName.get('late')).toBe(header.tensors[1]);
    expect(header).toMatchObject({ dataStart: start, fileSize: start + 11 });
  });

  it('keeps the exact digits of a dimension that no number can hold', () => {
    const json = '{"x":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}}';
    expect(parse(json, 0).tensors[0]?.exactShape).toEqual(['0', '18446744073709551615']);
    expect(parse('{"x":{"dtype":"F32","shape":[0,9007199254740991],"data_offsets":[0,0]}}', 0).tensors[0]?.exactShape).toBeUndefined();
  });

  it('puts a tensor without bytes before one that begins at the same place', () => {
    const json = '{"full":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"none":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}';
    expect(parse(json, 1).tensors.map(({ name }) => name)).toEqual(['none', 'full']);
  });

  it('decodes every escape of a name', () => {
    const json = `{"a\\u00e9\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00é😀":{${F32_PAIR}}}`;
    expect(parse(json).tensors[0]?.name).toBe('aé"\\/\b\f\n\r\t😀é😀');
  });

  it('ignores unknown fields of any kind, as strictly as the rest is read', () => {
    const fields = '"a":null,"b":true,"c":false,"d":-0.5e-3,"e":[{"f":[]},{}],"g":"\\u0000","g":0e99999';
    expect(parse(`{"x":{${fields},${F32_PAIR}}}`).tensors.length).toBe(1);
    for (const bad of ['"a":1e999', '"a":"\\ud800"', '"a":01', '"a":nul', '"a":.5', '"a":5.', '"a":+1', '"a":[1,]', '"a":NaN']) {
      expect(refusal(`{"x":{${bad},${F32_PAIR}}}`).details.rule, bad).toBe('InvalidHeaderDeserialization');
    }
  });

  it('reads values nested 127 deep and no deeper', () => {
    const nested = (depth: number): string => `{"x":{"a":${'['.repeat(depth)}${']'.repeat(depth)},${F32_PAIR}}}`;
    expect(parse(nested(125)).tensors.length).toBe(1);
    expect(refusal(nested(126)).details.rule).toBe('InvalidHeaderDeserialization');
    expect(refusal(nested(1_000_000)).details.rule).toBe('InvalidHeaderDeserialization');
  });

  // Verdicts of the reference reader (0.8.0), which takes these where the format's text would not.
  it.each([
    ['{"x":["F32",[2],[0,8]]}', 'accepted'],
    ['{"x":["F32",[2],[0,8],1]}', 'refused'],
    ['{"x":["F32",[2]]}', 'refused'],
    ['{"x":[]}', 'refused'],
    ['{"x":[{"F32":null},[2],[0,8]]}', 'accepted'],
    ['{"x":{"dtype":{"F32":null},"shape":[2],"data_offsets":[0,8]}}', 'accepted'],
    ['{"x":{"dtype":{"F32":{}},"shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":{"dtype":{"F32":null,"F16":null},"shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":{"dtype":{},"shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":{"dtype":["F32"],"shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":{"\\u0064type":"\\u004632","shape":[2],"data_offsets":[0,8]}}', 'accepted'],
    ['{"x":{"\\u0064type":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":3,"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"__metadata__":{"a":1,"a":"b"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 'refused'],
    ['{"x":{"dtype":"F32","shape":{"0":2},"data_offsets":[0,8]}}', 'refused'],
    ['[{"a":"b"},{}]', 'refused'],
  ])('%s is %s', (json, verdict) => {
    if (verdict === 'accepted') expect(parse(json).tensors).toMatchObject([{ dtype: 'F32', shape: [2] }]);
    else expect(refusal(json).details.rule).toBe('InvalidHeaderDeserialization');
  });

  it.each([
    '\\ud83d',
    '\\ude00',
    '\\ud83dx',
    '\\ud83d\\n',
    '\\ud83d\\u0041',
    '\\ude00\\ud83d',
    '\\ud83d\\ude00\\ud83d',
    '\\u00',
    '\\x41',
    '\\ud83d......',
  ])('a name with %s is no text', (name) => {
    expect(refusal(`{"${name}":{${F32_PAIR}}}`).details.rule).toBe('InvalidHeaderDeserialization');
    expect(refusal(`{"${name}a fairly long rest of the name":{${F32_PAIR}}}`).message).toContain('character');
  });

  it.each(['02', '00', '-2', '+2', '2.', '2e0', '2E0', '0x2', ' ', '2 2', '"2"'])('a dimension is never written %s', (dimension) => {
    expect(refusal(`{"x":{"dtype":"F32","shape":[${dimension}],"data_offsets":[0,8]}}`).details.rule, dimension).toBe(
      dimension === ' ' ? 'TensorInvalidInfo' : 'InvalidHeaderDeserialization',
    );
  });

  it('knows __metadata__ in any spelling', () => {
    expect(parse('{"__met\\u0061data__":{"a":"b"}}', 0).metadata.get('a')).toBe('b');
    expect(refusal('{"__metadata__":null,"__met\\u0061data__":{}}', 0).details.rule).toBe('InvalidHeaderDeserialization');
  });

  it('takes names that JavaScript objects have by themselves', () => {
    const { tensors, metadata } = parse(`{"__metadata__":{"__proto__":"p"},"__proto__":{${F32_PAIR}}}`);
    expect(tensors[0]?.name).toBe('__proto__');
    expect(metadata.get('__proto__')).toBe('p');
  });
});

describe('sizes near 64 bits', () => {
  const tensor = (dtype: string, shape: string, end: string): string =>
    `{"x":{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[0,${end}]}}`;

  it.each([
    ['product overflows before a zero', 'U8', '4294967296,4294967296,0', '0', 'ValidationOverflow'],
    ['product overflows in bits only', 'F64', '576460752303423488', '8', 'ValidationOverflow'],
    ['the largest size that fits', 'U8', '2305843009213693951', '2305843009213693951', 'MetadataIncompleteBuffer'],
    ['a size above 2^53 off by one', 'U8', '9007199254740993', '9007199254740992', 'TensorInvalidInfo'],
    ['half a byte above 2^53', 'F4', '9007199254740993', '4503599627370496', 'MisalignedSlice'],
    ['an offset of 2^64', 'U8', '1', '18446744073709551616', 'InvalidHeaderDeserialization'],
    ['an offset of 2^64 - 1', 'U8', '1', '18446744073709551615', 'TensorInvalidInfo'],
  ])('%s', (_why, dtype, shape, end, rule) => {
    expect(refusal(tensor(dtype, shape, end), 0).details.rule).toBe(rule);
  });

  it('a zero first makes every later dimension harmless', () => {
    expect(parse(tensor('U8', '0,4294967296,4294967296', '0'), 0).tensors.length).toBe(1);
  });
});

describe('a refusal', () => {
  it('comes for the first failed check in the order of the file, tensor by tensor', () => {
    const first = '"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}';
    const second = '"b":{"dtype":"U8","shape":[1],"data_offsets":[5,6]}';
    expect(refusal(`{${second},${first}}`).details).toEqual({ rule: 'MisalignedSlice', tensor: 'a' });
  });

  it('names the tensor and what is wrong with it', () => {
    const wrongSize = refusal('{"block.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,8]}}');
    expect(wrongSize.details).toEqual({ rule: 'TensorInvalidInfo', tensor: 'block.weight' });
    expect(wrongSize.message).toBe(
      'Tensor "block.weight" has 8 bytes, but F32 [2, 3] needs 24. The file is damaged or was written by a faulty tool; download it or export it again.',
    );
    const badDtype = refusal('{"block.weight":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}');
    expect(badDtype.details).toEqual({ rule: 'InvalidHeaderDeserialization', tensor: 'block.weight' });
    expect(badDtype.message).toContain('dtype "F33" is unknown');
  });

  it('says how many bytes a truncated download lacks', () => {
    expect(refusal(`{"x":{${F32_PAIR}}}`, 6).message).toContain('The file ends 2 bytes early');
    const { prefix } = fileOf(`{"x":{${F32_PAIR}}}`, 0);
    expect(() => parseHeader(prefix.subarray(0, 20), 20)).toThrow(`The file ends ${prefix.length - 20} bytes before its header does`);
  });

  it('cuts a name that would fill the screen', () => {
    const error = refusal(`{"${'n'.repeat(50_000)}":{"dtype":"U8","shape":[7],"data_offsets":[0,8]}}`);
    expect(error.details.tensor?.length).toBe(50_000);
    expect(error.message.length).toBeLessThan(400);
  });
});

describe('what people have in place of a model', () => {
  const text = (beginning: string): Uint8Array => Uint8Array.from(beginning.padEnd(80, ' '), (character) => character.charCodeAt(0));
  it.each([
    ['version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'],
    ['<!DOCTYPE html><html>', 'web page'],
    ['\n<html lang="en">', 'web page'],
    ['GGUF\x03\0\0\0', 'GGUF'],
    ['PK\x03\x04\0\0\b\b', 'PyTorch'],
    ['\x80\x02}q\0(X\x01\0', 'pickle'],
    ['\x1f\x8b\b\0\0\0\0\0', 'gzip'],
    ['\x89HDF\r\n\x1a\n', 'HDF5'],
    ['{\n  "metadata": {', 'sharded'],
    ['\0'.repeat(40), 'zeros'],
  ])('%j is recognised', (beginning, hint) => {
    const prefix = text(beginning);
    expect(() => parseHeader(prefix, prefix.length)).toThrow(hint);
  });

  it('an empty file says so', () => {
    expect(() => parseHeader(new Uint8Array(0), 0)).toThrow('The file is empty');
  });
});
