import { expect, it } from 'vitest';
import { notesOf } from '../../../../src/engine/job/notes';
import type { QuantizedResult } from '../../../../src/engine/job/quantizer';
import { countActions, ReportBuilder, type JobFacts } from '../../../../src/engine/job/reportBuilder';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe, type Recipe } from '../../../../src/engine/plan/recipe';
import type { Plan } from '../../../../src/engine/plan/plan';
import { readCalibration, type Calibration } from '../../../../src/engine/plan/calibration';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { headerOf, type TensorSpec } from '../../../support/headerOf';
import { modelBytes, TOY_MODEL } from '../../../support/modelFile';

const bytes = modelBytes(TOY_MODEL);
const header = parseHeader(bytes, bytes.length);
const planOf = (overrides: Partial<Recipe> = {}): Plan => makePlan(header, defaultRecipe(overrides), { toolVersion: 'test' });

const NEAREST: QuantizedResult = {
  scale: 0.5,
  relativeError: 0.03,
  squaredSource: 100,
  sweeps: 2,
  keptNearest: false,
  changedShare: 0.1,
  device: 'cpu',
  readSeconds: 1,
  computeSeconds: 2,
  writeSeconds: 3,
};
const RESULT: QuantizedResult = { ...NEAREST, objective: 2, objectiveNearest: 4 };
const FACTS: JobFacts = {
  tool: { name: 'fp8', version: '1' },
  source: '/s',
  output: '/o',
  model: { family: 'unknown', naming: 'unknown', prefix: '', evidence: [] },
  notes: [],
  device: 'cpu',
  deviceName: 'a processor',
  threads: 2,
  bytesIn: bytes.length,
  bytesOut: 1,
  peakMemoryBytes: 1,
  seconds: { total: 9, plan: 1, convert: 7, finish: 1 },
};

it('combines errors by their squares and objectives by their sums', () => {
  const plan = planOf();
  const [first, second] = plan.tensors.filter(({ action }) => action === 'quantize');
  const builder = new ReportBuilder();
  builder.quantized(first!, RESULT);
  builder.quantized(second!, { ...RESULT, relativeError: 0.01, squaredSource: 300, objective: 5, objectiveNearest: 6 });
  const { summary } = builder.build(plan, FACTS);
  expect(summary.relativeError).toBeCloseTo(Math.sqrt((0.03 ** 2 * 100 + 0.01 ** 2 * 300) / 400), 12);
  expect(summary.objectiveRatio).toBeCloseTo(7 / 10, 12);
  expect(summary.seconds).toEqual({ total: 9, plan: 1, convert: 7, finish: 1, read: 2, compute: 4, write: 6, copy: 0 });
});

it('lists tensors in file order, whatever the order in which they came', () => {
  const plan = planOf({ presets: ['t5xxl'] });
  const builder = new ReportBuilder();
  for (const tensor of [...plan.tensors].reverse()) {
    if (tensor.action === 'quantize') builder.quantized(tensor, RESULT);
    else if (tensor.action === 'keep') builder.kept(tensor, 0.5);
    else builder.removed(tensor);
  }
  const report = builder.build(plan, FACTS);
  expect(report.tensors.map(({ name }) => name)).toEqual(plan.tensors.map(({ source }) => source.name));
  expect(report.summary.counts).toEqual(countActions(plan));
  for (const { action, bytesIn, bytesOut, targetDtype, sourceDtype, shape } of report.tensors) {
    if (action === 'keep') expect([targetDtype, bytesOut]).toEqual([sourceDtype, bytesIn]);
    if (action === 'quantize') expect([targetDtype, bytesOut]).toEqual(['F8_E4M3', shape.reduce((a, b) => a * b, 1) + 4]);
  }
});

it('has no ratio of objectives where nothing was optimised', () => {
  const plan = planOf({ rounding: 'nearest' });
  const builder = new ReportBuilder();
  builder.quantized(
    plan.tensors.find(({ action }) => action === 'quantize')!,
    NEAREST,
  );
  expect(builder.build(plan, FACTS).summary).not.toHaveProperty('objectiveRatio');
});

it('notes what statistics and roundings had no use for', () => {
  const weight = 'layers.0.attn.qkv';
  const file = (kinds: Readonly<Record<string, TensorSpec>>) => {
    const tensors = Object.entries(kinds).map(([kind, spec]) => [`${weight}.${kind}`, spec] as const);
    return readCalibration('/c', headerOf(Object.fromEntries(tensors)), header);
  };
  const inputs = file({ input: ['F32', 9, 96] });
  const gradients = file({ output_gradient: ['F32', 9, 288] });
  const about = (recipe: Partial<Recipe>, calibration?: Calibration): string => {
    const options = calibration === undefined ? {} : { calibration };
    return notesOf(makePlan(header, defaultRecipe(recipe), { toolVersion: 'test', ...options }), calibration).join('\n');
  };
  expect(about({ statistics: 'gram' }, inputs)).toMatch(/inputs in the calibration file have no effect: the recipe asks for gram/);
  expect(about({ statistics: 'gram' }, gradients)).not.toMatch(/no effect/);
  expect(about({}, inputs)).not.toMatch(/no effect/);
  expect(about({ statistics: 'propagated' })).toMatch(/statistics propagated have no effect/);
  expect(about({ topK: 8 }, gradients)).toMatch(/output gradients in the calibration file have no effect/);
  expect(about({ topK: 8, sides: 'both' }, gradients)).not.toMatch(/no effect/);
  for (const rounding of ['nearest', 'tpec'] as const) {
    const said = about({ rounding, calibration: '/c', statistics: 'gram', sides: 'both', seed: 3 });
    for (const what of ['The calibration file', 'statistics', 'sides']) expect(said).toMatch(new RegExp(`^${what} has no effect`, 'm'));
    expect(/^seed has no effect/m.test(said)).toBe(rounding === 'nearest');
  }
});

it('notes what had no effect, and why biases stay', () => {
  expect(notesOf(planOf())).toEqual([expect.stringMatching(/^2 biases stay as they are: nothing tells the mean/)]);
  expect(notesOf(planOf({ calibSamples: 512 }))[0]).toMatch(/^calib_samples has no effect: no statistics are propagated/);
  expect(notesOf(planOf({ rounding: 'nearest', numIter: 7, topK: 3 })).slice(0, 2)).toEqual([
    expect.stringMatching(/^num_iter has no effect/),
    expect.stringMatching(/^top_k has no effect/),
  ]);
});
