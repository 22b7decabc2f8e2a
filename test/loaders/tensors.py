"""Safetensors files with numpy alone: raw bytes in, F32 arrays out."""
import json
import os
import struct

import numpy as np

WIDTH = {'F64': 8, 'F32': 4, 'F16': 2, 'BF16': 2, 'I64': 8, 'I32': 4, 'I16': 2, 'I8': 1, 'U8': 1, 'BOOL': 1, 'F8_E4M3': 1, 'F8_E5M2': 1}


class Tensor:
    """What a file holds under a name: nothing is decoded yet."""

    def __init__(self, dtype, shape, data):
        self.dtype = dtype
        self.shape = tuple(shape)
        self.data = data

    def bytes(self):
        return np.frombuffer(self.data, dtype=np.uint8)

    def codes(self):
        """One byte for each element, in the tensor's shape."""
        if WIDTH[self.dtype] != 1:
            raise ValueError(f'{self.dtype} elements are no single bytes')
        return self.bytes().reshape(self.shape)

    def floats(self):
        """The values of an unquantized tensor as F32."""
        if self.dtype == 'F32':
            return np.frombuffer(self.data, dtype='<f4').reshape(self.shape)
        if self.dtype == 'F16':
            return np.frombuffer(self.data, dtype='<f2').astype(np.float32).reshape(self.shape)
        if self.dtype == 'BF16':
            upper = np.frombuffer(self.data, dtype='<u2').astype(np.uint32) << 16
            return upper.view(np.float32).reshape(self.shape)
        raise ValueError(f'{self.dtype} is no unquantized weight')


def read_file(path):
    """Returns {name: Tensor} and the metadata. The reader asks of a file what the loaders' own readers ask."""
    with open(path, 'rb') as file:
        content = file.read()
    (length,) = struct.unpack('<Q', content[:8])
    if length > 100_000_000 or 8 + length > len(content):
        raise ValueError('the header does not fit into the file')
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        if entry['dtype'] not in WIDTH:
            raise KeyError(f"{name}: the reader does not know {entry['dtype']}")
        begin, end = entry['data_offsets']
        size = int(np.prod(entry['shape'], dtype=np.int64)) * WIDTH[entry['dtype']]
        if not 0 <= begin <= end <= len(data) or size != end - begin:
            raise ValueError(f'{name}: its range does not fit its shape')
        tensors[name] = Tensor(entry['dtype'], entry['shape'], data[begin:end])
    return tensors, metadata


def read_model(path):
    """A file, or by its index the shards of a model: every name is in the shard that the index names, and in no other."""
    if not path.endswith('.index.json'):
        return read_file(path)
    with open(path, encoding='utf-8') as file:
        weight_map = json.load(file)['weight_map']
    tensors, metadata = {}, {}
    for shard in sorted(set(weight_map.values())):
        found, described = read_file(os.path.join(os.path.dirname(path), shard))
        if set(found) != {name for name, place in weight_map.items() if place == shard}:
            raise ValueError(f'{shard}: the index names other tensors')
        tensors.update(found)
        metadata.update(described)
    return tensors, metadata


def write_f32(path, arrays):
    """Writes {name: F32 array} as a safetensors file."""
    header, position = {}, 0
    for name, array in arrays.items():
        header[name] = {'dtype': 'F32', 'shape': list(array.shape), 'data_offsets': [position, position + array.nbytes]}
        position += array.nbytes
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, dtype='<f4').tobytes())
