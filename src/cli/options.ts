/** options: every option of every command, once, for the parser and for the help. */
import type { OptionSpec } from './arguments';

const HELP: OptionSpec = { name: 'help', short: 'h', help: 'show this help' };
const JSON_OUTPUT: OptionSpec = { name: 'json', help: 'print JSON' };
const THREADS: OptionSpec = {
  name: 'threads',
  value: 'N',
  help: 'CPU threads (default, and 0: every core); the result does not depend on it',
};

const INPUT: OptionSpec = {
  name: 'input',
  short: 'i',
  value: 'FILE',
  help: 'the model (may also stand alone): a file, an index of shards, or a folder',
};

/** What a tensor's action depends on. */
const SELECTION: readonly OptionSpec[] = [
  { name: 'recipe', value: 'FILE', help: 'a *.fp8recipe.json, as the editor saves it; the other options override it' },
  {
    name: 'preset',
    value: 'auto|none|NAME',
    help: 'auto (default): keep what the recognised family keeps; none; t5xxl; keep_distillation',
  },
  { name: 't5xxl', help: 'T5 text encoder: remove decoder and lm_head; keep norm, bias, embed_tokens, shared' },
  { name: 'keep_distillation', help: 'keep distilled_guidance_layer, final_layer, img_in, txt_in as they are' },
  { name: 'convolutions', value: 'keep|quantize', help: 'convolutions are kept unless asked for: ComfyUI ignores their scales' },
  { name: 'embeddings', value: 'keep|quantize', help: 'tables of tokens are kept unless asked for; ComfyUI and plain take them quantized' },
  { name: 'requantize', help: 'round weights anew that the source has quantized already (default: they are kept)' },
  {
    name: 'keep',
    value: 'PATTERN',
    times: 'many',
    help: 'keep these tensors: a name, a glob such as "*.mlp.*", or "/regex/"; may be repeated',
  },
  {
    name: 'quantize',
    value: 'PATTERN',
    times: 'many',
    help: 'quantize these, e.g. "*.mlp.* => int8, row"; the last match counts',
  },
  { name: 'remove', value: 'PATTERN', times: 'many', help: 'leave these out of the output' },
  { name: 'min_elements', value: 'N', help: 'keep matrices with fewer elements (default: 1024)' },
  { name: 'target', value: 'TARGET', help: 'float8_e4m3fn (default), float8_e5m2, int8, mxfp8 or nvfp4' },
  { name: 'granularity', value: 'auto|tensor|row|block', help: 'what shares a scale (default: auto); also block:64x64' },
  {
    name: 'layout',
    value: 'LAYOUT',
    help: 'comfyui (default), comfyui-legacy, compressed-tensors (vLLM), huggingface or plain',
  },
];

export const CONVERT_OPTIONS: readonly OptionSpec[] = [
  INPUT,
  {
    name: 'output',
    short: 'o',
    value: 'FILE',
    help: 'a file, index or folder (default: <input>_fp8_e4m3fn_scaled.safetensors)',
  },
  { name: 'max-shard-size', value: 'SIZE', help: 'begin a new shard above this, e.g. 5GB (default: shards as in the source)' },
  { name: 'force', short: 'f', help: 'overwrite an existing output or report; no folders' },
  { name: 'dry-run', help: 'only show the plan and the sizes' },
  { name: 'print_config', help: 'only print the quantization_config for config.json' },
  ...SELECTION,
  { name: 'rounding', value: 'learned|tpec|nearest', help: 'how weights are rounded (default: learned)' },
  { name: 'top_k', value: 'K|full', help: 'principal components that steer the rounding (default: full; 1 for tpec)' },
  { name: 'num_iter', value: 'N', help: 'most sweeps (learned) or steps (tpec) per tensor (default: 500; rarely reached)' },
  {
    name: 'statistics',
    value: 'auto|gram|propagated|calibrated',
    help: 'what steers learned rounding (default: auto: the best that there is for each tensor)',
  },
  { name: 'calibration', value: 'FILE', help: "a calibration file: real inputs of the model's layers" },
  { name: 'sides', value: 'auto|input|both', help: 'whether which outputs matter steers rounding as well (default: auto)' },
  { name: 'bias-correction', value: 'auto|off', help: 'biases take over what rounding does to mean outputs, where known (default: auto)' },
  { name: 'calib_samples', value: 'N', help: 'synthetic samples for propagated statistics, 512 to 8192 (default: 3072)' },
  { name: 'seed', value: 'N', help: 'start of every random choice (default: 0)' },
  { name: 'device', short: 'd', value: 'auto|cpu|cuda:N', help: 'what computes (default: auto; see fp8 devices)' },
  THREADS,
  { name: 'report', value: 'FILE', help: 'also write the report as JSON' },
  { name: 'json', help: 'print the events of the job, one JSON object per line' },
  { name: 'verbose', short: 'v', help: 'show every tensor' },
  HELP,
];

const WRITTEN: readonly OptionSpec[] = [
  INPUT,
  { name: 'output', short: 'o', value: 'FILE', help: 'a file, index or folder (default: beside the source, named after what it is)' },
  { name: 'max-shard-size', value: 'SIZE', help: 'begin a new shard above this, e.g. 5GB (default: shards as in the source)' },
  { name: 'force', short: 'f', help: 'overwrite an existing output' },
  { name: 'dry-run', help: 'only show the plan and the sizes' },
  THREADS,
  { name: 'json', help: 'print the events of the job, one JSON object per line' },
  { name: 'verbose', short: 'v', help: 'show every tensor' },
  HELP,
];

export const DEQUANTIZE_OPTIONS: readonly OptionSpec[] = [
  { name: 'dtype', value: 'bf16|f16|f32', help: 'what the numbers are written as (default: bf16)' },
  ...WRITTEN,
];

export const MIGRATE_OPTIONS: readonly OptionSpec[] = [
  { name: 'to', value: 'LAYOUT', help: 'comfyui, comfyui-legacy, compressed-tensors, huggingface or plain' },
  ...WRITTEN,
];

export const INSPECT_OPTIONS: readonly OptionSpec[] = [
  INPUT,
  ...SELECTION,
  { name: 'device', short: 'd', value: 'auto|cpu|cuda:N', help: 'for which device a conversion is planned (default: auto)' },
  JSON_OUTPUT,
  { name: 'verbose', short: 'v', help: 'show whole reasons and whole metadata' },
  HELP,
];

export const VERIFY_OPTIONS: readonly OptionSpec[] = [
  INPUT,
  { name: 'against', value: 'SOURCE', help: 'the model that it was converted from' },
  THREADS,
  JSON_OUTPUT,
  HELP,
];

export const DEVICES_OPTIONS: readonly OptionSpec[] = [JSON_OUTPUT, HELP];
