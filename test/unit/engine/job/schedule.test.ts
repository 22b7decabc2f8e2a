import { describe, expect, it } from 'vitest';
import { rewriteTasks } from '../../../../src/engine/job/rewrite';
import { placeOf, scheduleTasks } from '../../../../src/engine/job/schedule';
import { makePlan } from '../../../../src/engine/plan/makePlan';
import { defaultRecipe } from '../../../../src/engine/plan/recipe';
import type { Plan } from '../../../../src/engine/plan/plan';
import { parseHeader } from '../../../../src/engine/safetensors/parseHeader';
import { modelBytes, TOY_MODEL } from '../../../support/modelFile';

const bytes = modelBytes(TOY_MODEL);
const header = parseHeader(bytes, bytes.length);

function planOf(overrides: Parameters<typeof defaultRecipe>[0] = {}, keepAnyway = new Map<string, string>()): Plan {
  return makePlan(header, defaultRecipe(overrides), { toolVersion: 'test', keepAnyway });
}

describe('scheduleTasks', () => {
  it('has one task for each tensor with bytes, by its index in the plan', () => {
    const plan = planOf();
    const tasks = scheduleTasks(plan);
    expect(tasks.map(({ id, name }) => plan.tensors[id]?.source.name === name).every(Boolean)).toBe(true);
    expect(tasks.map(({ name }) => name).sort()).toEqual(
      header.tensors
        .filter(({ begin, end }) => end > begin)
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('writes every byte after the header exactly once, literals aside', () => {
    for (const layout of ['comfyui', 'comfyui-legacy'] as const) {
      const plan = planOf({ layout, presets: ['t5xxl'] });
      const written = new Uint8Array(plan.output.fileSize);
      const mark = (offset: number, length: number): void => {
        for (let i = offset; i < offset + length; i++) written[i] = (written[i] ?? 0) + 1;
      };
      mark(0, plan.output.headerBytes.length);
      for (const { origin, begin, end } of plan.output.tensors) if (origin.kind === 'literal') mark(begin, end - begin);
      for (const task of scheduleTasks(plan)) {
        if (task.kind === 'copy') mark(task.outputOffset, task.source.length);
        else if (task.kind === 'quantize') {
          mark(task.weightOffset, task.rows * task.columns);
          for (const offset of task.scaleOffsets) mark(offset, 4);
        }
      }
      expect(written.every((count) => count === 1)).toBe(true);
    }
  });

  it('begins with the most costly matrices, and reads in file order where nothing is costly', () => {
    const columns = scheduleTasks(planOf({ sides: 'input' })).map((task) => (task.kind === 'quantize' ? task.rows * task.columns ** 2 : 0));
    expect(columns[0]).toBe(96 * 200 ** 2);
    expect(columns.slice(-6).every((cost) => cost === 0)).toBe(true);
    const offsets = scheduleTasks(planOf({ rounding: 'nearest' })).map((task) => placeOf(task).offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
  });

  it('hands the recipe on', () => {
    const task = scheduleTasks(planOf({ rounding: 'tpec', topK: 3, numIter: 9, seed: 5 })).find(({ kind }) => kind === 'quantize');
    expect(task).toMatchObject({ rounding: 'tpec', topK: 3, numIter: 9, seed: 5 });
    expect(scheduleTasks(planOf()).find(({ kind }) => kind === 'quantize')).toMatchObject({ topK: 0 });
  });
});

describe('rewriteTasks', () => {
  it('takes codes and scales from the first output and kept tensors from the source', () => {
    const from = planOf();
    const name = 'layers.0.mlp.fc1.weight';
    const to = planOf({}, new Map([[name, 'NaN']]));
    const tasks = rewriteTasks(from, to).filter((task) => task.kind === 'copy');
    expect(to.output.fileSize).toBeGreaterThan(from.output.fileSize);
    expect(tasks.filter(({ source }) => source.file === 1)).toHaveLength(10);
    expect(tasks.find((task) => task.name === name)?.source).toEqual({
      file: 0,
      offset: header.byName.get(name)?.begin,
      length: 2 * 200 * 96,
    });
    for (const { source, outputOffset, name: output } of tasks.filter((task) => task.source.file === 1)) {
      const first = from.output.tensors.find((tensor) => tensor.name === output);
      const second = to.output.tensors.find((tensor) => tensor.name === output);
      expect([source.offset, source.length, outputOffset]).toEqual([first?.begin, second!.end - second!.begin, second?.begin]);
    }
  });
});
