/** Decision: what happens to one tensor, by which rule, in which words. */

export type Action = 'quantize' | 'keep' | 'remove';

export type RuleId =
  | 'override'
  | 'preset-remove'
  | 'told'
  | 'empty'
  | 'quantized'
  | 'dtype'
  | 'bias'
  | 'preset-keep'
  | 'norm'
  | 'vector'
  | 'name'
  | 'outside-model'
  | 'lora'
  | 'embedding'
  | 'output-head'
  | 'convolution'
  | 'rank'
  | 'tiny'
  | 'vocabulary'
  | 'family'
  | 'layout'
  | 'fused'
  | 'convolution-on-request'
  | 'transposed'
  | 'embedding-on-request'
  | 'experts'
  | 'linear'
  | 'dequantized'
  | 'migrated';

export interface Decision {
  readonly action: Action;
  readonly rule: RuleId;
  /** One short sentence for people, e.g. "Bias: it is added and has no matrix product." */
  readonly reason: string;
}
