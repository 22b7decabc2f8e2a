import { expect, it } from 'vitest';
import { parametersOf } from '../../../../src/engine/inspect/parameters';
import { headerOf, type TensorSpec } from '../../../support/headerOf';

/** Each holds the same layer of 64 × 128, and a bias of 64. */
const LAYER = 64 * 128 + 64;
const LAYOUTS: Readonly<Record<string, Readonly<Record<string, TensorSpec>>>> = {
  'no quantization': { 'l.weight': ['BF16', 64, 128] },
  'ComfyUI FP8': { 'l.weight': ['F8_E4M3', 64, 128], 'l.weight_scale': ['F32'], 'l.comfy_quant': ['U8', 40] },
  'ComfyUI FP8, legacy': { 'l.weight': ['F8_E4M3', 64, 128], 'l.scale_weight': ['F32'], scaled_fp8: ['F8_E4M3', 2] },
  NVFP4: { 'l.weight': ['U8', 64, 64], 'l.weight_scale': ['F8_E4M3', 64, 8], 'l.weight_scale_2': ['F32'] },
  'bitsandbytes NF4': {
    'l.weight': ['U8', 4096, 1],
    'l.weight.absmax': ['U8', 128],
    'l.weight.quant_map': ['F32', 16],
    'l.weight.quant_state.bitsandbytes__nf4': ['U8', 90],
  },
  'bitsandbytes 8 bits': { 'l.weight': ['I8', 64, 128], 'l.SCB': ['F32', 64] },
  'GPTQ in 4 bits': { 'l.qweight': ['I32', 16, 64], 'l.qzeros': ['I32', 1, 8], 'l.scales': ['F16', 1, 64], 'l.g_idx': ['I32', 128] },
  'GPTQ in 8 bits': { 'l.qweight': ['I32', 32, 64], 'l.qzeros': ['I32', 1, 16], 'l.scales': ['F16', 1, 64] },
  'compressed-tensors': { 'l.weight_packed': ['I32', 64, 16], 'l.weight_scale': ['BF16', 64, 1], 'l.weight_shape': ['I64', 2] },
};

it.each(Object.entries(LAYOUTS))('counts what is stood for: %s', (_, tensors) => {
  expect(parametersOf(headerOf({ ...tensors, 'l.bias': ['F16', 64] }))).toBe(LAYER);
});

it('counts ordinary tensors of whole numbers one by one', () => {
  expect(parametersOf(headerOf({ position_ids: ['I64', 1, 77], mask: ['BOOL', 4, 4], scales: ['F32', 3] }))).toBe(77 + 16 + 3);
});
