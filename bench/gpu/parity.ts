/** The GPU against the CPU on the sample model: objective of every tensor, divergence of the model, and the same bytes twice. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { JobReport } from '../../src/engine/job/report';
import { convertModel } from '../quality/convert';
import { readEvaluationText, SAMPLE_MODEL } from '../quality/evaluationText';
import { measureOriginal, measureVariant } from '../quality/measure';
import type { RowPool } from '../quality/rowPool';
import { mean } from '../quality/statistics';
import { DEFAULT_VARIANTS, NEAREST, type Variant } from '../quality/variants';

export interface Parity {
  readonly variant: string;
  readonly tensors: number;
  /** (Objective on the GPU ÷ on the CPU) − 1 where it is farthest from 0, and the tensor it is found in. */
  readonly worstObjective: number;
  readonly worstTensor: string;
  readonly worstObjectiveNearest: number;
  readonly klOnCpu: number;
  readonly klOnGpu: number;
  /** Output files of two runs on the GPU, and for nearest of GPU and CPU as well. */
  readonly sameBytes: boolean;
}

/** Every variant that both devices round; with a calibration file, by that as well. */
function variantsOf(calibration: string | undefined): readonly Variant[] {
  const own = DEFAULT_VARIANTS.filter(({ convertOptions }) => !convertOptions.includes('tpec'));
  if (calibration === undefined) return own;
  const calibrated = ['--rounding', 'learned', '--calibration', calibration, '--sides'];
  return [
    ...own,
    { name: 'calibrated', convertOptions: [...calibrated, 'input'] },
    { name: 'calibrated, both sides', convertOptions: [...calibrated, 'both'] },
  ];
}

export async function measureParity(
  pool: RowPool,
  folder: string,
  device: string,
  options: { readonly calibration?: string | undefined; readonly variant?: readonly string[] | undefined },
): Promise<readonly Parity[]> {
  const variants = variantsOf(options.calibration === undefined ? undefined : resolve(options.calibration));
  const original = await measureOriginal(pool, await readEvaluationText());
  const results: Parity[] = [];
  for (const variant of variants.filter(({ name }) => options.variant?.includes(name) ?? true)) {
    const cpu = await measureVariant(pool, original, variant, { folder, name: `cpu-${variant.name}`, device: 'cpu' });
    const gpu = await measureVariant(pool, original, variant, { folder, name: `gpu-${variant.name}`, device });
    const again = await convertModel(SAMPLE_MODEL, folder, `again-${variant.name}`, [...variant.convertOptions, '--device', device]);
    const worst = compareObjectives(cpu.report, gpu.report);
    const hash = await sha256(gpu.outputPath);
    results.push({
      variant: variant.name,
      ...worst,
      klOnCpu: mean(cpu.klPerRow),
      klOnGpu: mean(gpu.klPerRow),
      sameBytes: hash === (await sha256(again.outputPath)) && (variant !== NEAREST || hash === (await sha256(cpu.outputPath))),
    });
  }
  return results;
}

/** Converts `source` twice. */
export async function sameBytesTwice(source: string, folder: string, variant: Variant, device: string): Promise<boolean> {
  const hashes: string[] = [];
  for (const name of ['first', 'second']) {
    const { outputPath } = await convertModel(source, folder, name, [...variant.convertOptions, '--device', device]);
    hashes.push(await sha256(outputPath));
    await rm(outputPath);
  }
  return hashes[0] === hashes[1];
}

function compareObjectives(
  cpu: JobReport,
  gpu: JobReport,
): Pick<Parity, 'tensors' | 'worstObjective' | 'worstTensor' | 'worstObjectiveNearest'> {
  const onCpu = new Map(cpu.tensors.map((tensor) => [tensor.name, tensor]));
  let worstObjective = 0;
  let worstObjectiveNearest = 0;
  let worstTensor = '';
  let tensors = 0;
  for (const tensor of gpu.tensors) {
    const other = onCpu.get(tensor.name);
    if (tensor.action !== 'quantize' || other === undefined) continue;
    if (tensor.device === 'cpu') throw new Error(`${tensor.name} was rounded on the CPU`);
    if (tensor.scale !== other.scale) throw new Error(`${tensor.name}: scale ${tensor.scale} on the GPU, ${other.scale} on the CPU`);
    tensors += 1;
    const difference = (tensor.objective ?? 0) / (other.objective ?? 1) - 1;
    if (tensor.objective !== undefined && Math.abs(difference) > Math.abs(worstObjective)) {
      worstObjective = difference;
      worstTensor = tensor.name;
    }
    if (tensor.objectiveNearest !== undefined)
      worstObjectiveNearest = Math.max(worstObjectiveNearest, Math.abs(tensor.objectiveNearest / (other.objectiveNearest ?? NaN) - 1));
  }
  return { tensors, worstObjective, worstTensor, worstObjectiveNearest };
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 8 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
