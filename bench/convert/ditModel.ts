/** A model in the shapes of a large diffusion transformer: BF16 weights with biases, 226 million parameters a block. */
import { randomTensor, writeRandomModel, type RandomModel, type RandomTensor } from './randomModel';

/** Out × in. */
const SHAPES: readonly (readonly [name: string, rows: number, columns: number])[] = [
  ['attention.output', 3072, 3072],
  ['attention.qkv', 9216, 3072],
  ['mlp.up', 12288, 3072],
  ['mlp.down', 3072, 12288],
  ['single.linear1', 21504, 3072],
  ['single.linear2', 3072, 15360],
];

/** Adds tensors until there are at least `bytes` of them. */
export async function writeDitModel(path: string, bytes: number): Promise<RandomModel> {
  const tensors: RandomTensor[] = [];
  let total = 0;
  const add = (name: string, shape: readonly number[]): void => {
    const tensor = randomTensor(name, shape);
    tensors.push(tensor);
    total += tensor.byteLength;
  };
  for (let block = 0; total < bytes; block++) {
    for (const [name, rows, columns] of SHAPES) {
      if (total >= bytes) break;
      add(`blocks.${block}.${name}.weight`, [rows, columns]);
      add(`blocks.${block}.${name}.bias`, [rows]);
    }
  }
  return writeRandomModel(path, tensors);
}
