/** A class-conditional diffusion transformer whose blocks samples can be sent through: 1,024 wide, three blocks, 0.11 GB of BF16. */
import { randomTensor, writeRandomModel, type RandomTensor } from '../convert/randomModel';

const WIDTH = 1024;
const BLOCKS = 3;

export async function writeBlockModel(path: string): Promise<void> {
  const linear = (name: string, rows: number, columns: number): readonly RandomTensor[] => [
    randomTensor(`${name}.weight`, [rows, columns]),
    randomTensor(`${name}.bias`, [rows]),
  ];
  const blocks = Array.from({ length: BLOCKS }, (_, block): readonly RandomTensor[] => [
    ...linear(`blocks.${block}.adaLN_modulation.1`, 6 * WIDTH, WIDTH),
    ...linear(`blocks.${block}.attn.qkv`, 3 * WIDTH, WIDTH),
    ...linear(`blocks.${block}.attn.proj`, WIDTH, WIDTH),
    ...linear(`blocks.${block}.mlp.fc1`, 4 * WIDTH, WIDTH),
    ...linear(`blocks.${block}.mlp.fc2`, WIDTH, 4 * WIDTH),
  ]);
  await writeRandomModel(path, [
    randomTensor('pos_embed', [1, 64, WIDTH]),
    ...linear('x_embedder.proj', WIDTH, 16),
    ...linear('t_embedder.mlp.0', WIDTH, 256),
    ...linear('t_embedder.mlp.2', WIDTH, WIDTH),
    randomTensor('y_embedder.embedding_table.weight', [11, WIDTH]),
    ...blocks.flat(),
  ]);
}
