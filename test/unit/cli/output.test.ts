import { describe, expect, it } from 'vitest';
import { errorText } from '../../../src/cli/output/errorText';
import { progressLine } from '../../../src/cli/output/progress';
import { plainStyle } from '../../../src/cli/output/terminal';
import { printable, shortened, table } from '../../../src/cli/output/text';

describe('names from files', () => {
  it('cannot drive the terminal', () => {
    expect(printable('a\u001b[2Jb\nc\u009b\u202ed')).toBe('a\\u001b[2Jb\\u000ac\\u009b\\u202ed');
    expect(printable('layers.0.gewöhnlich.重み')).toBe('layers.0.gewöhnlich.重み');
  });

  it('are shortened in the middle, to the width and not beyond', () => {
    expect(shortened('abcdefghij', 10)).toBe('abcdefghij');
    expect(shortened('abcdefghij', 5)).toBe('ab…ij');
    for (const width of [0, 1, 2, 3, 9]) expect(shortened('abcdefghij', width)).toHaveLength(width);
  });
});

describe('the progress line', () => {
  const progress = {
    fraction: 0.426,
    bytesPerSecond: 1.23e9,
    remainingSeconds: 65,
    elapsedSeconds: 48,
    tensorsDone: 12,
    tensorsTotal: 35,
    current: ['model.layers.17.self_attention.query_key_value_projection.weight'],
  };

  it('shows share, bar, tensors, throughput, time left and the tensor', () => {
    expect(progressLine(progress, 120, plainStyle)).toBe(
      ` 42 % ${'━'.repeat(10)}${'─'.repeat(14)}  12/35 · 1.23 GB/s · ETA 1 min 05 s · model.layers.17.self_attenti…ry_key_value_projection.weight`.replace(
        /model.*/,
        shortened(progress.current[0] ?? '', 120 - 31 - 2 - 35 - 1),
      ),
    );
  });

  it('never is wider than the terminal', () => {
    for (let columns = 10; columns < 200; columns++) {
      for (const fraction of [0, 0.05, 0.999, 1]) {
        expect(Array.from(progressLine({ ...progress, fraction }, columns, plainStyle)).length).toBeLessThanOrEqual(columns);
      }
    }
  });

  it('has room for a name on a terminal of 80 columns', () => {
    expect(progressLine(progress, 79, plainStyle)).toMatch(/^ 42 % ━+─+ {2}12\/35 · 1\.23 GB\/s · ETA 1 min 05 s · \S{12,}$/);
  });

  it('does not say 100 % before the end', () => {
    expect(progressLine({ ...progress, fraction: 0.999 }, 100, plainStyle)).toMatch(/^ 99 %/);
  });
});

it('a table is as wide as its widest cells, numbers to the right', () => {
  const lines = table(
    [
      { title: 'name', align: 'left' },
      { title: 'n', align: 'right' },
    ],
    [
      ['a', '1'],
      ['abcdef', '1234'],
    ],
    (line) => line,
  );
  expect(lines).toEqual(['  name       n', '  a          1', '  abcdef  1234']);
});

describe('an error', () => {
  it('is one line that names file and tensor once', () => {
    expect(errorText({ code: 'Io', message: 'read failed\n  badly.', path: '/m.safetensors', tensor: 'a.weight' })).toBe(
      'fp8: error: /m.safetensors: read failed badly (tensor "a.weight").',
    );
    expect(errorText({ code: 'Io', message: '/m.safetensors: a.weight cannot be read.', path: '/m.safetensors', tensor: 'a.weight' })).toBe(
      'fp8: error: /m.safetensors: a.weight cannot be read.',
    );
  });

  it('names the options and commands that help', () => {
    const told = (message: string): string => errorText({ code: 'Io', message });
    expect(told('2 of its tensors look like final layers, e.g. "a": keep them by an override.')).toMatch(/keep them with --keep PATTERN\./);
    expect(told('Nothing to quantize: the model is quantized already (2 weights).')).toMatch(/\(2 weights\)\. --requantize rounds it anew/);
    expect(told('x do not read the layout plain. Choose the layout huggingface for them.')).toMatch(
      /Choose --layout huggingface for them\.$/,
    );
    expect(told('The layout is plain. Choose the layouts apart.')).toMatch(/Choose the layouts apart\.$/);
  });

  it('names the option that overwrites', () => {
    const message = '/o exists already. Choose another output path, or allow it to be overwritten.';
    expect(errorText({ code: 'OutputExists', message, path: '/o' })).toMatch(/or overwrite it with --force\.$/);
  });
});
