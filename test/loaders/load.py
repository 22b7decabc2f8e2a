"""Loads a converted file as its loader would, and writes the weights that the model then computes with, as F32.

usage: load.py LAYOUT CONVERTED SOURCE OUT [CONFIG or BLOCK]
"""
import json
import sys

import comfyui
import compressed_tensors
import fine_grained
import plain
import tensors as files


def main(layout, converted, source, out, extra=None):
    found, metadata = files.read_model(converted)
    originals, _ = files.read_file(source)
    shapes = {name: list(tensor.shape) for name, tensor in originals.items() if tensor.dtype in ('F32', 'F16', 'BF16')}
    if layout in ('comfyui', 'comfyui-legacy'):
        loaded = comfyui.load(found, metadata, shapes)
    elif layout in ('compressed-tensors', 'huggingface'):
        with open(extra, encoding='utf-8') as file:
            config = json.load(file)['quantization_config']
        loaded = (compressed_tensors if layout == 'compressed-tensors' else fine_grained).load(found, config, shapes)
    else:
        loaded = plain.load(found, [int(size) for size in (extra or '128x128').split('x')], shapes)
    if layout != 'plain':
        loaded = {f'{layer}.weight': weight for layer, weight in loaded.items()}
    files.write_f32(out, dict(sorted(loaded.items())))
    print(json.dumps({'layers': len(loaded)}))


if __name__ == '__main__':
    main(*sys.argv[1:])
