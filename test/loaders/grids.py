"""The numbers that codes stand for, each built from its bit pattern."""
import numpy as np


def _minifloat(exponent_bits, mantissa_bits, bias, nans):
    values = np.zeros(1 << (1 + exponent_bits + mantissa_bits), dtype=np.float64)
    for code in range(len(values)):
        sign = -1.0 if code >> (exponent_bits + mantissa_bits) else 1.0
        exponent = (code >> mantissa_bits) & ((1 << exponent_bits) - 1)
        fraction = (code & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits)
        magnitude = (1 + fraction) * 2.0 ** (exponent - bias) if exponent > 0 else fraction * 2.0 ** (1 - bias)
        values[code] = np.nan if nans(exponent, fraction) else sign * magnitude
    return values.astype(np.float32)


# E4M3 has NaN only where all bits are set and no infinity; of E5M2's greatest exponent nothing is a weight.
E4M3 = _minifloat(4, 3, 7, lambda exponent, fraction: exponent == 15 and fraction == 0.875)
E5M2 = _minifloat(5, 2, 15, lambda exponent, fraction: exponent == 31)
E2M1 = _minifloat(2, 1, 1, lambda exponent, fraction: False)
# Biased powers of two; 255 is NaN, and 2^-127 is below F32's normal numbers.
E8M0 = np.array([np.nan if code == 255 else 2.0 ** (code - 127) for code in range(256)], dtype=np.float64).astype(np.float32)


def int8(codes):
    return codes.view(np.int8).astype(np.float32)


def nibbles(packed, first):
    """[rows, columns / 2] bytes → [rows, columns] codes; `first` says whether the even column is in the 'high' or the 'low' half."""
    high, low = packed >> 4, packed & 15
    even, odd = (high, low) if first == 'high' else (low, high)
    return np.stack([even, odd], axis=-1).reshape(packed.shape[0], -1)


def unswizzled(stored, rows, columns):
    """Scales in tiles of 128 × 4 → rows × columns. Inside a tile, 32 lines hold four groups of rows side by side."""
    tall, wide = stored.shape
    tiles = stored.reshape(tall // 128, wide // 4, 32, 4, 4)
    # tile row, tile column, row of the group, group, column → tile row, group, row of the group, tile column, column
    plain = tiles.transpose(0, 3, 2, 1, 4).reshape(tall, wide)
    return plain[:rows, :columns]


def spread(scales, rows, columns, block_rows, block_columns):
    """One scale for each block → one for each element."""
    tall = np.repeat(scales, block_rows, axis=0)[:rows]
    return np.repeat(tall, block_columns, axis=1)[:, :columns]
