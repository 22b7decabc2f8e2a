/** Calibration files of noise for every matrix that a plan quantizes: for how long they take, not for what they say. */
import { layOut } from '../../src/engine/safetensors/layout';
import { defaultRecipe } from '../../src/engine/plan/recipe';
import { makePlan } from '../../src/engine/plan/makePlan';
import { readModelSource } from '../../src/engine/safetensors/modelSource';
import { randomTensor, writeRandomModel, type RandomTensor } from '../convert/randomModel';
import { writeFile } from 'node:fs/promises';

export interface Recorded {
  readonly inputs: number;
  /** Gradients of each layer's outputs. */
  readonly gradients?: number;
}

interface Layer {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
}

export async function writeSamples(model: string, path: string, { inputs, gradients }: Recorded): Promise<void> {
  const layers = await layersOf(model);
  const tensors = layers.flatMap(({ name, rows, columns }): readonly RandomTensor[] => [
    randomTensor(`${name}.input`, [inputs, columns]),
    ...(gradients === undefined ? [] : [randomTensor(`${name}.output_gradient`, [gradients, rows])]),
  ]);
  await writeRandomModel(path, tensors);
}

/** What an importance matrix tells: mean squares, from 0.5 to 1.5. */
export async function writeDiagonals(model: string, path: string): Promise<void> {
  const layers = await layersOf(model);
  const list = layers.map(({ name, columns }) => ({
    name: `${name}.input_diagonal`,
    dtype: 'F32' as const,
    shape: [columns],
    byteLength: 4 * columns,
  }));
  const { headerBytes, tensors, fileSize } = layOut(list, new Map());
  const bytes = new Uint8Array(fileSize);
  bytes.set(headerBytes);
  for (const { begin, end } of tensors) {
    const view = new DataView(bytes.buffer, begin, end - begin);
    for (let at = 0; at < view.byteLength; at += 4) view.setFloat32(at, 1 + 0.5 * Math.sin(at), true);
  }
  await writeFile(path, bytes);
}

async function layersOf(model: string): Promise<readonly Layer[]> {
  const { header } = await readModelSource(model);
  return makePlan(header, defaultRecipe(), { toolVersion: 'bench' }).tensors.flatMap(({ source, quantization }): readonly Layer[] => {
    if (quantization === undefined) return [];
    const { rows, columns } = quantization;
    return [{ name: source.name.replace(/\.weight$/, ''), rows, columns }];
  });
}
