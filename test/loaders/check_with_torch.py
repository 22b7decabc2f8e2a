"""Reads the files that scripts/loader-check prepared with PyTorch, safetensors and transformers. Exits with 1 where something differs.

usage: check_with_torch.py FOLDER
"""
import base64
import hashlib
import json
import os
import sys

import torch
from safetensors.torch import load_file

E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float32)
SCALES = ('weight_scale', 'weight_scale_inv', 'scale_weight')

# What PyTorch says of code × scale in another way than by the casts below: for each dtype, the tensors that it was seen to agree on.
second_opinions = {}


def unswizzled(stored, rows, columns):
    tall, wide = stored.shape
    plain = stored.view(tall // 128, wide // 4, 32, 4, 4).permute(0, 3, 2, 1, 4).reshape(tall, wide)
    return plain[:rows, :columns]


def spread(scales, rows, columns, block):
    return scales.repeat_interleave(block[0], 0)[:rows].repeat_interleave(block[1], 1)[:, :columns]


def powers_of_two(codes):
    values = torch.ldexp(torch.ones(codes.shape, dtype=torch.float32), codes.to(torch.int32) - 127)
    if hasattr(torch, 'float8_e8m0fnu'):
        agrees = torch.equal(codes.contiguous().view(torch.float8_e8m0fnu).float(), values)
        second_opinions.setdefault('float8_e8m0fnu', []).append(agrees)
    return values


def pairs(weight, low_first):
    """Of four bits. PyTorch has a dtype for pairs of them, and no cast of it."""
    high, low = (weight >> 4).long(), (weight & 15).long()
    return torch.stack([low, high] if low_first else [high, low], dim=-1).reshape(weight.shape[0], -1)


def block_of(recipe):
    return tuple(recipe['blockSize'])


def values_of(layer, tensors, shape, is_comfyui, recipe):
    """The numbers of one layer, by PyTorch's own casts."""
    rows, columns = shape
    weight = tensors.get(f'{layer}.weight', tensors.get(f'{layer}.weight_packed'))
    scale = next(tensors[f'{layer}.{name}'] for name in SCALES if f'{layer}.{name}' in tensors)
    if weight.dtype == torch.uint8:
        low_first = f'{layer}.weight_packed' in tensors
        codes = pairs(weight, low_first)[:rows, :columns]
        groups = -(-columns // 16)
        scales = (unswizzled(scale.view(torch.uint8), rows, groups).contiguous().view(torch.float8_e4m3fn) if is_comfyui else scale).float()
        scales = scales / tensors[f'{layer}.weight_global_scale'] if low_first else scales * tensors[f'{layer}.weight_scale_2']
        return E2M1[codes] * spread(scales, rows, columns, (1, 16))
    if scale.dtype == torch.uint8:
        groups = -(-columns // 32)
        scales = powers_of_two(unswizzled(scale, rows, groups) if is_comfyui else scale)
        return weight[:rows, :columns].float() * spread(scales, rows, columns, (1, 32))
    if scale.dim() == 2 and scale.shape[1] > 1:
        return weight.float() * spread(scale, rows, columns, block_of(recipe))
    return weight.float() * scale


def sha256(values):
    return hashlib.sha256(values.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def numbers_of(folder):
    """Every tensor of the model, by name, the quantized ones as F32; and which these are."""
    path = os.path.join(folder, 'model.safetensors')
    tensors = load_file(path)
    with open(path, 'rb') as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), 'little')))
    recipe = json.loads(header['__metadata__']['fp8_quantizer.recipe'])
    is_comfyui = any(name.endswith('.comfy_quant') for name in tensors)
    layers = sorted({name.rsplit('.', 1)[0] for name in tensors if name.rsplit('.', 1)[-1] in SCALES})
    described = {name for name in tensors if name.rsplit('.', 1)[0] in layers or name.endswith('scaled_fp8')}
    with open(os.path.join(folder, 'expected.json'), encoding='utf-8') as file:
        expected = json.load(file)
    original = load_shapes(layers, tensors)
    numbers = {name: tensor for name, tensor in tensors.items() if name not in described}
    for layer in layers:
        numbers[f'{layer}.weight'] = values_of(layer, tensors, original[layer], is_comfyui, recipe)
    dtypes = sorted({str(tensor.dtype).removeprefix('torch.') for tensor in tensors.values()})
    return numbers, layers, dtypes, expected


def load_shapes(layers, tensors):
    """Without padding: the sizes of the sample model, of which each of its padded formats has whole blocks."""
    def shape(layer):
        packed = tensors.get(f'{layer}.weight_packed')
        weight = tensors[f'{layer}.weight'] if packed is None else packed
        rows, columns = weight.shape
        return (rows, columns * 2) if weight.dtype == torch.uint8 else (rows, columns)

    return {layer: shape(layer) for layer in layers}


def check_file(folder):
    numbers, layers, dtypes, expected = numbers_of(folder)
    different = sorted(name for name, values in numbers.items() if sha256(values) != expected['sha256'].get(name))
    missing = sorted(set(expected['sha256']) - set(numbers))
    print(f"{os.path.basename(folder)}: {len(numbers)} tensors, {len(layers)} quantized, {len(different)} differ; {', '.join(dtypes)}")
    for name in different[:3] + missing[:3]:
        print(f'  differs or is missing: {name}')
    return not different and not missing and len(layers) > 0


@torch.no_grad()
def check_logits(folder):
    """transformers loads the model, dequantizing it, and computes the logits that our own forward pass gives for the dequantized values."""
    from transformers import AutoModelForCausalLM, FineGrainedFP8Config

    numbers, _, _, expected = numbers_of(folder)
    with open(os.path.join(folder, 'config.json'), encoding='utf-8') as file:
        kept = json.load(file)['quantization_config']['modules_to_not_convert']
    config = FineGrainedFP8Config(dequantize=True, modules_to_not_convert=kept)
    model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=config, dtype=torch.float32)
    loaded = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    same = sum(torch.equal(loaded[name].float(), values.float()) for name, values in numbers.items() if name in loaded)
    furthest = max(((loaded[name].float() - values.float()).norm() / values.float().norm()).item() for name, values in numbers.items() if name in loaded)
    dtypes = sorted({str(tensor.dtype).removeprefix('torch.') for tensor in loaded.values()})
    print(f'transformers, {os.path.basename(folder)}: {same} of {len(numbers)} tensors are ours bit for bit, the furthest differs by {furthest:.2e}; {", ".join(dtypes)}')

    tokens = torch.arange(96).reshape(1, 96)
    found = model.to('cpu').float().eval()(tokens).logits[0]
    ours = torch.frombuffer(bytearray(base64.b64decode(expected['logits'])), dtype=torch.float32).reshape(96, -1)
    difference = (found - ours).abs().max().item()
    print(f'transformers, {os.path.basename(folder)}: logits differ from ours by at most {difference:.2e} (their deviation is {ours.std().item():.2f})')
    return difference < (1e-3 if same == len(numbers) else 0.05 * ours.std().item())


def main(folder):
    cases = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    print('torch', torch.__version__)
    good = [check_file(case) for case in cases]
    for dtype, agreed in second_opinions.items():
        print(f'torch.{dtype}: agrees on {sum(agreed)} of {len(agreed)} tensors')
        good.append(all(agreed))
    try:
        import transformers
    except ImportError:
        print('skipped: transformers is not installed')
    else:
        print('transformers', transformers.__version__)
        good += [check_logits(case) for case in cases if os.path.basename(case).startswith('huggingface')]
    print(f'{sum(good)} good, {len(good) - sum(good)} bad')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1]))
