"""What a loader of the compressed-tensors layout makes of a file and its quantization_config, in F32."""
import re

import numpy as np

import grids


class LoadError(Exception):
    pass


def load(tensors, config, shapes):
    """{layer: F32 weight} of every quantized layer."""
    if config.get('quant_method') != 'compressed-tensors' or config.get('quantization_status') != 'compressed':
        raise LoadError('config.json does not say compressed-tensors')
    loaded = {}
    for name, shape in shapes.items():
        layer = name.removesuffix('.weight')
        if layer == name or len(shape) != 2:
            continue
        group = group_of(layer, config)
        if group is None or is_no_linear(layer):
            if name in tensors and tensors[name].dtype not in ('F32', 'F16', 'BF16'):
                raise LoadError(f'{layer}: quantized, and the config says that it is not')
            continue
        loaded[layer] = dequantized(layer, tensors, group, shape)
    return loaded


def is_no_linear(layer):
    """Targets are kinds of modules, and the loader knows the model's."""
    return 'embed' in layer or 'norm' in layer


def group_of(layer, config):
    if any(matches(layer, pattern) for pattern in config['ignore']):
        return None
    groups = list(config['config_groups'].values())
    for group in groups:
        if any(matches(layer, target) for target in group['targets']):
            return group
    return next((group for group in groups if 'Linear' in group['targets']), None)


def matches(layer, pattern):
    return re.match(pattern[3:], layer) is not None if pattern.startswith('re:') else layer == pattern


def dequantized(layer, tensors, group, shape):
    weights = group['weights']
    if not weights['symmetric'] or weights['dynamic']:
        raise LoadError(f'{layer}: weights must be symmetric and static')
    scale = tensors.get(f'{layer}.weight_scale')
    if scale is None:
        raise LoadError(f'{layer}: no weight_scale')
    rows, columns = shape
    if group['format'] == 'nvfp4-pack-quantized':
        return packed(layer, tensors, scale, rows, columns, weights)
    weight = tensors.get(f'{layer}.weight')
    dtype = {'float-quantized': 'F8_E4M3', 'mxfp8-quantized': 'F8_E4M3', 'int-quantized': 'I8'}[group['format']]
    if weight is None or weight.dtype != dtype or weight.shape != tuple(shape) or weights['num_bits'] != 8:
        raise LoadError(f'{layer}: no {dtype} weight of shape {shape}')
    values = grids.int8(weight.codes()) if dtype == 'I8' else grids.E4M3[weight.codes()]
    wanted, block = scale_shape(weights, rows, columns)
    if scale.shape != wanted:
        raise LoadError(f'{layer}: {weights["strategy"]} scales of shape {scale.shape} instead of {wanted}')
    if weights.get('scale_dtype') == 'torch.uint8':
        scales = grids.E8M0[scale.codes()]
    else:
        scales = scale.floats()
    return values * (scales if scales.ndim == 1 else grids.spread(scales, rows, columns, *block))


def scale_shape(weights, rows, columns):
    """The shape of the scales, and the rectangle that shares one."""
    strategy = weights['strategy']
    if strategy == 'tensor':
        return (1,), (rows, columns)
    if strategy == 'channel':
        return (rows, 1), (1, columns)
    if strategy == 'group':
        size = weights['group_size']
        return (rows, columns // size), (1, size)
    tall, wide = weights['block_structure']
    return (-(-rows // tall), -(-columns // wide)), (tall, wide)


def packed(layer, tensors, scale, rows, columns, weights):
    weight = tensors.get(f'{layer}.weight_packed')
    overall = tensors.get(f'{layer}.weight_global_scale')
    size = weights['group_size']
    if weight is None or weight.dtype != 'U8' or weight.shape != (rows, columns // 2) or weights['num_bits'] != 4 or size != 16:
        raise LoadError(f'{layer}: no weight_packed of shape {(rows, columns // 2)}')
    if scale.dtype != 'F8_E4M3' or scale.shape != (rows, columns // size):
        raise LoadError(f'{layer}: weight_scale is {scale.dtype} {scale.shape}')
    if overall is None or overall.dtype != 'F32' or overall.shape != (1,):
        raise LoadError(f'{layer}: weight_global_scale is not one F32')
    # The global scale was multiplied into the others, so it is divided out.
    total = grids.E4M3[scale.codes()] / overall.floats()
    codes = grids.nibbles(weight.codes(), 'low')
    return grids.E2M1[codes] * grids.spread(total, rows, columns, 1, size)
