"""Models as .safetensors files: BF16 out, BF16 and scaled FP8 in. Decodes FP8 by itself, so that any PyTorch will do."""

import json

import numpy
import torch


def write_model(model, path):
    from safetensors.torch import save_file

    save_file({name: tensor.detach().to(torch.bfloat16).contiguous().cpu() for name, tensor in model.state_dict().items()}, str(path))


def read_model(model, path):
    """Loads what a file holds, dequantized, into the model's own dtype."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        values = DECODERS[entry["dtype"]](numpy.frombuffer(raw[begin:end], numpy.uint8))
        found[name] = torch.from_numpy(values.astype(numpy.float32)).reshape(entry["shape"])
    state = {}
    for name, tensor in model.state_dict().items():
        scale = found.get(name[: -len("weight")] + "weight_scale") if name.endswith(".weight") else None
        value = found[name]
        state[name] = (value if scale is None else value * scale).to(tensor)
    model.load_state_dict(state)


def _bfloat16(data):
    return (data.view(numpy.uint16).astype(numpy.uint32) << 16).view(numpy.float32)


def _e4m3(data):
    codes = numpy.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    magnitude = numpy.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    return (numpy.where(codes & 128, -1.0, 1.0) * magnitude).astype(numpy.float32)[data]


DECODERS = {
    "BF16": _bfloat16,
    "F8_E4M3": _e4m3,
    "F16": lambda data: data.view(numpy.float16),
    "F32": lambda data: data.view(numpy.float32),
    "F64": lambda data: data.view(numpy.float64),
    "U8": lambda data: data,
}
