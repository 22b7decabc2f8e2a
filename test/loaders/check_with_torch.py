"""Reads the files that scripts/loader-check prepared with PyTorch, safetensors and transformers. Exits with 1 where something differs.

usage: check_with_torch.py FOLDER
"""
import os
import sys

import torch
from safetensors.torch import load_file

E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float32)


def unswizzled(stored, rows, columns):
    tall, wide = stored.shape
    plain = stored.view(tall // 128, wide // 4, 32, 4, 4).permute(0, 3, 2, 1, 4).reshape(tall, wide)
    return plain[:rows, :columns]


def spread(scales, rows, columns, block):
    return scales.repeat_interleave(block[0], 0)[:rows].repeat_interleave(block[1], 1)[:, :columns]


def powers_of_two(codes):
    return torch.ldexp(torch.ones(codes.shape, dtype=torch.float32), codes.to(torch.int32) - 127)


def values_of(layer, tensors, shape, is_comfyui):
    """The numbers of one layer, by PyTorch's own casts."""
    rows, columns = shape
    weight = tensors.get(f'{layer}.weight', tensors.get(f'{layer}.weight_packed'))
    scale = next(tensors[f'{layer}.{name}'] for name in ('weight_scale', 'weight_scale_inv', 'scale_weight') if f'{layer}.{name}' in tensors)
    if weight.dtype == torch.uint8:
        low_first = f'{layer}.weight_packed' in tensors
        high, low = (weight >> 4).long(), (weight & 15).long()
        codes = torch.stack([low, high] if low_first else [high, low], dim=-1).reshape(weight.shape[0], -1)[:rows, :columns]
        groups = -(-columns // 16)
        scales = (unswizzled(scale.view(torch.uint8), rows, groups).contiguous().view(torch.float8_e4m3fn) if is_comfyui else scale).float()
        scales = scales / tensors[f'{layer}.weight_global_scale'] if low_first else scales * tensors[f'{layer}.weight_scale_2']
        return E2M1[codes] * spread(scales, rows, columns, (1, 16))
    if scale.dtype == torch.uint8:
        groups = -(-columns // 32)
        scales = powers_of_two(unswizzled(scale, rows, groups) if is_comfyui else scale)
        return weight[:rows, :columns].float() * spread(scales, rows, columns, (1, 32))
    if scale.dim() == 2 and scale.shape[1] > 1:
        block = (128, 128)
        return weight.float() * spread(scale, rows, columns, block)
    return weight.float() * scale


def check_file(folder):
    tensors = load_file(os.path.join(folder, 'model.safetensors'))
    ours = load_file(os.path.join(folder, 'values.safetensors'))
    is_comfyui = any(name.endswith('.comfy_quant') for name in tensors)
    quantized = sorted({name.rsplit('.', 1)[0] for name in tensors if name.rsplit('.', 1)[-1] in ('weight_scale', 'weight_scale_inv', 'scale_weight')})
    different = 0
    for layer in quantized:
        own = ours[f'{layer}.weight']
        found = values_of(layer, tensors, own.shape, is_comfyui)
        same = torch.equal(found.contiguous().view(torch.int32), own.contiguous().view(torch.int32)) or torch.equal(found, own)
        different += not same
    dtypes = sorted({str(tensor.dtype).removeprefix('torch.') for tensor in tensors.values()})
    print(f"{os.path.basename(folder)}: {len(quantized)} layers, {different} differ; {', '.join(dtypes)}")
    return different == 0 and len(quantized) > 0


@torch.no_grad()
def check_logits(folder, reference):
    """transformers, dequantizing on loading, against the same architecture with the values that we dequantized."""
    from transformers import AutoConfig, AutoModelForCausalLM, FineGrainedFP8Config

    loaded = AutoModelForCausalLM.from_pretrained(folder, quantization_config=FineGrainedFP8Config(dequantize=True), torch_dtype=torch.float32).float()
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(reference)).float()
    values = load_file(os.path.join(folder, 'values.safetensors'))
    missing, unexpected = plain.load_state_dict({name: tensor.float() for name, tensor in values.items()}, strict=False)
    tokens = torch.arange(96).reshape(1, 96) % 256
    difference = (loaded.to('cpu').eval()(tokens).logits - plain.eval()(tokens).logits).abs().max().item()
    spread_of_logits = plain(tokens).logits.std().item()
    print(f'transformers: logits differ by at most {difference:.2e} (their deviation is {spread_of_logits:.2f}); missing {missing}, unexpected {unexpected}')
    return difference < 0.05 * spread_of_logits and not missing and not unexpected


def main(folder):
    cases = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name != 'source']
    print('torch', torch.__version__)
    good = [check_file(case) for case in cases]
    try:
        import transformers

        print('transformers', transformers.__version__)
        good.append(check_logits(os.path.join(folder, 'huggingface'), os.path.join(folder, 'source')))
    except ImportError:
        print('skipped: transformers is not installed')
    print(f'{sum(good)} good, {len(good) - sum(good)} bad')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
