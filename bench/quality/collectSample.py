"""Calibration files of the sample model, gathered by the collector: python3 bench/quality/collectSample.py TOKENS FOLDER

TOKENS is a .safetensors file whose tensor `calibration` holds rows of bytes, in U8; FOLDER receives moments.safetensors (inputs), gradients.safetensors
(inputs and output gradients) and samples.safetensors (512 inputs of each layer). Needs PyTorch.
"""

import json
import math
import pathlib
import struct
import sys

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from collect_calibration import Collector  # noqa: E402

WIDTH, INNER, LAYERS, HEADS, VOCABULARY = 256, 704, 5, 4, 256


def read_tensors(path):
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    dtypes = {"BF16": torch.bfloat16, "F32": torch.float32, "U8": torch.uint8}
    body = bytearray(data[8 + size :])
    return {
        name: torch.frombuffer(body, dtype=torch.uint8)[entry["data_offsets"][0] : entry["data_offsets"][1]]
        .clone()
        .view(dtypes[entry["dtype"]])
        .reshape(entry["shape"])
        for name, entry in header.items()
    }


class Norm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * self.weight


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, torch.nn.Linear(WIDTH, WIDTH, bias=False))

    def forward(self, x):
        rows, length, size = len(x), x.shape[1], WIDTH // HEADS
        split = lambda y: y.reshape(rows, length, HEADS, size).transpose(1, 2)
        angle = torch.arange(length)[:, None] / 10000 ** (torch.arange(0, size, 2) / size)
        angle = torch.cat([angle, angle], -1)
        turn = lambda y: y * angle.cos() + torch.cat([-y[..., size // 2 :], y[..., : size // 2]], -1) * angle.sin()
        q, k, v = turn(split(self.q_proj(x))), turn(split(self.k_proj(x))), split(self.v_proj(x))
        seen = torch.full((length, length), -1e9).triu(1)
        y = ((q @ k.transpose(-1, -2)) / math.sqrt(size) + seen).softmax(-1) @ v
        return self.o_proj(y.transpose(1, 2).reshape(rows, length, WIDTH))


class FeedForward(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = torch.nn.Linear(WIDTH, INNER, bias=False)
        self.up_proj = torch.nn.Linear(WIDTH, INNER, bias=False)
        self.down_proj = torch.nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x):
        return self.down_proj(torch.nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.self_attn = Norm(), Attention()
        self.post_attention_layernorm, self.mlp = Norm(), FeedForward()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm()

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class SampleModel(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model, self.lm_head = Decoder(), torch.nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens):
        return self.lm_head(self.model(tokens))


def main():
    tokens, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rows = read_tensors(tokens)["calibration"].long()[:, :-1]
    model = SampleModel()
    model.load_state_dict({name: tensor.float() for name, tensor in read_tensors(ROOT / "samples" / "kjv-lm.safetensors").items()})
    model.requires_grad_(False)
    source = f"{len(rows)} rows of {rows.shape[1]} bytes"

    with torch.no_grad():
        with Collector(model) as collector:
            for batch in rows.split(8):
                model(batch)
        collector.save(folder / "moments.safetensors", source)
        with Collector(model, keep="samples", samples=512) as collector:
            for batch in rows.split(8):
                model(batch)
        collector.save(folder / "samples.safetensors", source)

    # The model's own predictions are the loss's targets: what would move them is what counts.
    generator = torch.Generator().manual_seed(0)
    with Collector(model, gradients=True) as collector:
        for batch in rows.split(8):
            predictions = model(batch).log_softmax(-1)
            targets = torch.multinomial(predictions.detach().exp().flatten(0, 1), 1, generator=generator)
            torch.nn.functional.nll_loss(predictions.flatten(0, 1), targets[:, 0], reduction="sum").backward()
    collector.save(folder / "gradients.safetensors", source)


main()
