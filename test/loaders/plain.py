"""The layout plain: codes times scales, the granularity told by the scales' own shape and the size of blocks."""
import grids


class LoadError(Exception):
    pass


def load(tensors, block, shapes):
    """{weight's name: F32 values}; `block` is [rows, columns] where scales belong to blocks."""
    loaded = {}
    for described in list(tensors):
        name = described.removesuffix('_scale')
        if name == described:
            continue
        scale, weight = tensors[described], tensors[name]
        shape = shapes[name]
        rows = shape[0]
        columns = 1
        for size in shape[1:]:
            columns *= size
        overall = tensors.get(f'{name}_scale_2')
        if weight.dtype == 'U8':
            values = grids.E2M1[grids.nibbles(weight.codes(), 'high')]
            scales = grids.E4M3[scale.codes()] * overall.floats().reshape(())
            spread = grids.spread(scales, rows, columns, 1, 16)
        else:
            codes = weight.codes().reshape(rows, columns)
            values = grids.int8(codes) if weight.dtype == 'I8' else {'F8_E4M3': grids.E4M3, 'F8_E5M2': grids.E5M2}[weight.dtype][codes]
            if scale.dtype == 'U8':
                spread = grids.spread(grids.E8M0[scale.codes()], rows, columns, 1, 32)
            elif len(scale.shape) == 3:
                # Of stacked experts: they multiply as they are.
                values, spread = values.reshape(shape), scale.floats()
            elif scale.shape == ():
                spread = scale.floats()
            elif scale.shape == (rows, 1):
                spread = scale.floats()
            else:
                spread = grids.spread(scale.floats(), rows, columns, *block)
        loaded[name] = (values * spread).reshape(shape)
    return loaded
