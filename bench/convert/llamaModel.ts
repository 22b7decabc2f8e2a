/** A language model in the shapes of LLaMA with 8 billion parameters: samples can be sent through it. 218 million parameters a layer. */
import { randomTensor, writeRandomModel, type RandomModel, type RandomTensor } from './randomModel';

const WIDTH = 4096;
const HEADS_WIDTH = 1024;
const INNER_WIDTH = 14_336;
/** A small vocabulary: tables are kept as they are, and would only take disk. */
const VOCABULARY = 8192;

/** Whole layers until there are at least `bytes`. */
export async function writeLlamaModel(path: string, bytes: number): Promise<RandomModel> {
  const tensors: RandomTensor[] = [
    randomTensor('model.embed_tokens.weight', [VOCABULARY, WIDTH]),
    randomTensor('model.norm.weight', [WIDTH]),
  ];
  let total = 0;
  for (let layer = 0; total < bytes; layer++) {
    const prefix = `model.layers.${layer}.`;
    const own = [
      randomTensor(`${prefix}input_layernorm.weight`, [WIDTH]),
      randomTensor(`${prefix}self_attn.q_proj.weight`, [WIDTH, WIDTH]),
      randomTensor(`${prefix}self_attn.k_proj.weight`, [HEADS_WIDTH, WIDTH]),
      randomTensor(`${prefix}self_attn.v_proj.weight`, [HEADS_WIDTH, WIDTH]),
      randomTensor(`${prefix}self_attn.o_proj.weight`, [WIDTH, WIDTH]),
      randomTensor(`${prefix}post_attention_layernorm.weight`, [WIDTH]),
      randomTensor(`${prefix}mlp.gate_proj.weight`, [INNER_WIDTH, WIDTH]),
      randomTensor(`${prefix}mlp.up_proj.weight`, [INNER_WIDTH, WIDTH]),
      randomTensor(`${prefix}mlp.down_proj.weight`, [WIDTH, INNER_WIDTH]),
    ];
    tensors.push(...own);
    total += own.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }
  return writeRandomModel(path, tensors);
}
