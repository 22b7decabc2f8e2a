import { describe, expect, it } from 'vitest';
import { splitName } from '../../../src/webview/table/splitName';

describe('splitName', () => {
  it.each([
    ['model.layers.10.post_attention_layernorm.weight', 'model.layers.10.', 'post_attention_layernorm.weight'],
    ['model.layers.10.self_attn.q_proj.weight', 'model.layers.10.', 'self_attn.q_proj.weight'],
    ['down_blocks.1.attentions.0.attn1.to_q.weight', 'down_blocks.1.attentions.0.', 'attn1.to_q.weight'],
    ['blocks.0.ffn.2.weight', 'blocks.0.', 'ffn.2.weight'],
    ['0.attn.to_q.weight', '0.', 'attn.to_q.weight'],
  ])('leaves the number of the layer at the end of the path of %s', (name, path, leaf) => {
    expect(splitName(name)).toEqual([path, leaf]);
  });

  it.each([
    ['text_model.final.layer_norm.weight', 'text_model.final.', 'layer_norm.weight'],
    ['blocks.2.weight', 'blocks.', '2.weight'],
    ['lm_head.weight', '', 'lm_head.weight'],
    ['scale', '', 'scale'],
    ['', '', ''],
    ['trailing.dot.', '', 'trailing.dot.'],
  ])('gives the last two parts of %s where no number says more', (name, path, leaf) => {
    expect(splitName(name)).toEqual([path, leaf]);
  });
});
