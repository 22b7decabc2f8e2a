"""What ComfyUI makes of a file, layer by layer, in F32. Old scaled files are translated first, as it does it."""
import json

import numpy as np

import grids

FORMATS = {'float8_e4m3fn', 'float8_e5m2', 'int8_tensorwise', 'mxfp8', 'nvfp4'}
STORAGE = {'float8_e4m3fn': 'F8_E4M3', 'float8_e5m2': 'F8_E5M2', 'int8_tensorwise': 'I8', 'mxfp8': 'F8_E4M3', 'nvfp4': 'U8'}
PREFIX = 'model.diffusion_model.'


class LoadError(Exception):
    pass


def load(tensors, metadata, shapes):
    """{layer: F32 weight} of every quantized layer. `shapes` gives the model's own [out, in] of each weight."""
    formats = layer_formats(tensors, metadata)
    loaded = {}
    for layer, description in formats.items():
        weight = tensors.get(f'{layer}.weight')
        if weight is None:
            raise LoadError(f'{layer}: described, and without a weight')
        name = description.get('format')
        if name is None:
            raise LoadError(f'{layer}: unknown quantization format')
        if name not in FORMATS:
            raise KeyError(f'{layer}: {name}')
        if weight.dtype != STORAGE[name]:
            raise LoadError(f'{layer}: {weight.dtype} would be cast to {STORAGE[name]} without a scale')
        loaded[layer] = DEQUANTIZE[name](layer, weight, companions(tensors, layer), shapes[f'{layer}.weight'])
    for name, tensor in tensors.items():
        layer = name.removesuffix('.weight')
        if layer != name and tensor.dtype in ('F8_E4M3', 'F8_E5M2') and layer not in formats:
            raise LoadError(f'{layer}: FP8 that nothing describes, so its scale is ignored')
    return loaded


def layer_formats(tensors, metadata):
    described = metadata.get('_quantization_metadata')
    formats = {}
    for name, tensor in tensors.items():
        if name.endswith('.comfy_quant'):
            if tensor.dtype != 'U8' or len(tensor.shape) != 1:
                raise LoadError(f'{name}: {tensor.dtype} {tensor.shape}')
            formats[name.removesuffix('.comfy_quant')] = json.loads(tensor.bytes().tobytes())
    if described is not None:
        # The header's word counts more than a tensor's.
        formats.update(json.loads(described)['layers'])
        return formats
    prefix = PREFIX if any(name.startswith(PREFIX) for name in tensors) else ''
    if f'{prefix}scaled_fp8' in tensors:
        for name in list(tensors):
            if name.startswith(prefix) and name.endswith('.scale_weight'):
                layer = name.removesuffix('.scale_weight')
                tensors[f'{layer}.weight_scale'] = tensors.pop(name)
                formats[layer] = {'format': 'float8_e4m3fn'}
                if f'{layer}.scale_input' in tensors:
                    _single(tensors[f'{layer}.scale_input'], layer)
    return formats


def companions(tensors, layer):
    return {suffix: tensors.get(f'{layer}.{suffix}') for suffix in ('weight_scale', 'weight_scale_2')}


def _single(tensor, layer):
    if tensor.dtype != 'F32' or tensor.floats().size != 1:
        raise LoadError(f'{layer}: its scale is {tensor.dtype} {tensor.shape} instead of one F32')
    return tensor.floats().reshape(())


def _fp8(grid):
    def dequantize(layer, weight, found, shape):
        if found['weight_scale'] is None:
            raise LoadError(f'{layer}: no weight_scale')
        if weight.shape != tuple(shape) or len(shape) != 2:
            raise LoadError(f'{layer}: shape {weight.shape} instead of {shape}')
        return grid[weight.codes()] * _single(found['weight_scale'], layer)

    return dequantize


def _int8(layer, weight, found, shape):
    scale = found['weight_scale']
    if scale is None or scale.dtype != 'F32':
        raise LoadError(f'{layer}: no F32 weight_scale')
    if weight.shape != tuple(shape):
        raise LoadError(f'{layer}: shape {weight.shape} instead of {shape}')
    if scale.shape not in ((), (1,), (shape[0], 1)):
        raise LoadError(f'{layer}: scales of shape {scale.shape}')
    return grids.int8(weight.codes()) * scale.floats()


def _up(size, multiple):
    return -(-size // multiple) * multiple


def _block_scaled(layer, weight, found, shape, multiple, group, packed):
    rows, columns = shape
    stored = (_up(rows, multiple), _up(columns, multiple) // packed)
    if weight.shape != stored:
        raise LoadError(f'{layer}: stored as {weight.shape} instead of {stored}')
    scale = found['weight_scale']
    groups = -(-columns // group)
    if scale is None or scale.shape != (_up(rows, 128), _up(groups, 4)):
        raise LoadError(f'{layer}: its scales are not {(_up(rows, 128), _up(groups, 4))}')
    return grids.unswizzled(scale.codes(), rows, groups)


def _mxfp8(layer, weight, found, shape):
    rows, columns = shape
    scales = grids.E8M0[_block_scaled(layer, weight, found, shape, 32, 32, 1)]
    if found['weight_scale'].dtype != 'U8':
        raise LoadError(f"{layer}: E8M0 stored as {found['weight_scale'].dtype}")
    return grids.E4M3[weight.codes()[:rows, :columns]] * grids.spread(scales, rows, columns, 1, 32)


def _nvfp4(layer, weight, found, shape):
    rows, columns = shape
    scales = grids.E4M3[_block_scaled(layer, weight, found, shape, 16, 16, 2)]
    if found['weight_scale'].dtype != 'F8_E4M3' or found['weight_scale_2'] is None:
        raise LoadError(f'{layer}: weight_scale is not E4M3, or weight_scale_2 is missing')
    total = scales * _single(found['weight_scale_2'], layer)
    codes = grids.nibbles(weight.codes(), 'high')[:rows, :columns]
    return grids.E2M1[codes] * grids.spread(total, rows, columns, 1, 16)


DEQUANTIZE = {
    'float8_e4m3fn': _fp8(grids.E4M3),
    'float8_e5m2': _fp8(grids.E5M2),
    'int8_tensorwise': _int8,
    'mxfp8': _mxfp8,
    'nvfp4': _nvfp4,
}
