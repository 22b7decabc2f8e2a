"""What transformers' fine-grained FP8 makes of a file and its quantization_config, in F32."""
import grids


class LoadError(Exception):
    pass


def load(tensors, config, shapes):
    """{layer: F32 weight} of every quantized layer."""
    if config.get('quant_method') != 'fp8' or config.get('activation_scheme') != 'dynamic':
        raise LoadError('config.json does not say fp8 with dynamic activations')
    tall, wide = config['weight_block_size']
    kept = config['modules_to_not_convert']
    loaded = {}
    for name, shape in shapes.items():
        layer = name.removesuffix('.weight')
        if layer == name or len(shape) != 2 or 'embed' in layer or 'norm' in layer:
            continue
        if any(layer == module or layer.startswith(f'{module}.') for module in kept):
            if name in tensors and tensors[name].dtype not in ('F32', 'F16', 'BF16'):
                raise LoadError(f'{layer}: quantized, and the config says that it is not')
            continue
        weight, scale = tensors.get(name), tensors.get(f'{layer}.weight_scale_inv')
        rows, columns = shape
        if weight is None or weight.dtype != 'F8_E4M3' or weight.shape != tuple(shape):
            raise LoadError(f'{layer}: no F8_E4M3 weight of shape {shape}')
        wanted = (-(-rows // tall), -(-columns // wide))
        if scale is None or scale.dtype != 'F32' or scale.shape != wanted:
            raise LoadError(f'{layer}: no F32 weight_scale_inv of shape {wanted}')
        # A block's size is taken from the scales' shape, whatever the configuration says.
        if rows % wanted[0] != 0 or columns % wanted[1] != 0:
            raise LoadError(f'{layer}: {shape} does not divide into {wanted} blocks')
        tall_block, wide_block = rows // wanted[0], columns // wanted[1]
        # Despite its name it is a factor.
        loaded[layer] = grids.E4M3[weight.codes()] * grids.spread(scale.floats(), rows, columns, tall_block, wide_block)
    return loaded
