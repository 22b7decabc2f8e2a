import { expect, it } from 'vitest';
import { markdownReport } from '../../../src/editor/report/markdownReport';
import { reportView } from '../../../src/editor/report/reportView';
import type { TensorReport } from '../../../src/engine/job/report';
import { jobReport } from '../../support/jobReport';

const quantized: TensorReport = {
  name: 'layer|0`.weight',
  action: 'quantize',
  reason: 'Linear weight: 2 × 2.',
  shape: [2, 2],
  sourceDtype: 'F16',
  targetDtype: 'F8_E4M3',
  bytesIn: 8,
  bytesOut: 4,
  relativeError: 0.026,
  squaredSource: 400,
  objective: 1,
  objectiveNearest: 2,
  statistics: { inputs: 'propagated', outputs: 'gram', mean: 'propagated', reason: 'Propagated: samples reach it.' },
  sweeps: 7,
  seconds: 0.25,
};
const kept: TensorReport = {
  name: 'norm.weight',
  action: 'keep',
  reason: 'Norm: <small>.',
  shape: [2],
  sourceDtype: 'F16',
  targetDtype: 'F16',
  bytesIn: 4,
  bytesOut: 4,
  seconds: 0,
};
const report = jobReport({
  model: {
    family: 'flux1',
    title: 'FLUX.1',
    naming: 'original',
    prefix: 'model.',
    evidence: ['It has double_blocks.', 'It is 3,072 wide.'],
  },
  tensors: [quantized, kept, { ...kept, name: 'norm2.weight' }],
  warnings: ['Mind *this*'],
});

it('tells what was done, with every name kept in its cell', () => {
  const text = markdownReport(report);
  expect(text).toContain('**16 B → 12 B** (25 % smaller) · relative error **2.6 %** · objective **50 %** of nearest rounding');
  expect(text).toContain(
    '| ``layer\\|0`.weight`` | 2\u00a0×\u00a02 | 4\u00a0B | 5.0\u00a0% | 2.6\u00a0% | 50\u00a0% | propagated\u00a0×\u00a0gram | 7 |',
  );
  expect(text).toContain('## What steered rounding\n\n- 1 propagated, outputs gram: samples reach it.');
  expect(text).toContain('| Kept | Norm: \\<small\\>. | 2 | 8 B |');
  expect(text).toContain('| Model | FLUX.1, original names, under model. (seen: It has double\\_blocks. It is 3,072 wide) |');
  expect(text).toContain('- Mind \\*this\\*');
  expect(text).not.toContain('## Largest errors');
});

it('lists first what comes off worst in the output of its layer, on the page as well', () => {
  const tensors = Array.from({ length: 12 }, (_, index) => ({
    ...quantized,
    name: `layer${index}.weight`,
    relativeError: 0.5 - index / 100,
    objective: 1 + index,
  }));
  const { objective: _objective, ...unweighed } = { ...quantized, name: 'unweighed.weight', relativeError: 0.9 };
  const all = { ...report, tensors: [unweighed, ...tensors] };
  const [, largest = ''] = /## Largest errors\n\n([\s\S]*?)\n\n/.exec(markdownReport(all)) ?? [];
  const listed = [...largest.matchAll(/`(\w+)\.weight`/g)].map(([, name]) => name);
  expect(listed).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map((index) => `layer${index}`));
  expect(reportView('', all).worst.map(({ name }) => name)).toEqual(listed.map((name) => `${name}.weight`));
  expect(reportView('', { ...all, tensors: [unweighed, ...tensors.slice(0, 2)] }).worst.map(({ name }) => name)).toEqual([
    'layer1.weight',
    'layer0.weight',
    'unweighed.weight',
  ]);
});
