"""The collector against statistics of everything that a model saw: check_collector.py FOLDER. Prints nothing where all is well. Needs PyTorch."""

import json
import pathlib
import struct
import sys
import warnings

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from collect_calibration import HOOK_OPTIONS, Collector  # noqa: E402

CALLS, ROWS, WIDTH, LIMIT = 200, 512, 8, 4096


def read(path):
    raw = path.read_bytes()
    (size,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + size])
    metadata = header.pop("__metadata__")
    body = bytearray(raw[8 + size :])
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(body, dtype=torch.float32, count=(end - begin) // 4, offset=begin).reshape(entry["shape"])
    return tensors, metadata


def inputs():
    """What a run sees changes from its first call to its last, as along the steps of a sampler."""
    generator = torch.Generator().manual_seed(0)
    for call in range(CALLS):
        x = torch.randn(ROWS, WIDTH, generator=generator)
        x[:, 0] += 4 * call / CALLS
        x[:, 1] *= 1 + 3 * call / CALLS
        yield x


def close(found, expected, tolerance, what):
    error = ((found - expected).norm() / expected.norm()).item()
    assert error < tolerance, f"{what}: off by {error:.4f}"


def run(keep, gradients, folder):
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(WIDTH, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)).requires_grad_(False)
    with Collector(model, samples=LIMIT, keep=keep, gradients=gradients) as collector:
        for x in inputs():
            output = model(x)
            if gradients:
                output.square().sum().backward()
    collector.save(folder / "calibration.safetensors")
    tensors, metadata = read(folder / "calibration.safetensors")
    everything = torch.cat(list(inputs()))
    return model, everything, tensors, metadata


def main():
    folder = pathlib.Path(sys.argv[1])
    model, seen, tensors, metadata = run("second_moment", True, folder)
    close(tensors["0.input_mean"], seen.mean(dim=0), 1e-3, "the mean")
    close(tensors["0.input_second_moment"], seen.T @ seen / len(seen), 0.05, "the second moment")
    close(tensors["2.input_mean"], model[:2](seen).mean(dim=0), 1e-3, "the second layer's mean")
    # d(y²)/dy = 2y for the last layer.
    gradient = 2 * model(seen)
    close(tensors["2.output_second_moment"], gradient.T @ gradient / len(seen), 0.05, "the gradients' second moment")
    counted = int(metadata["0.input_samples"])
    assert LIMIT < counted < 2 * LIMIT, f"{counted} samples are told"

    _, seen, tensors, metadata = run("samples", False, folder)
    kept = tensors["0.input"]
    assert list(kept.shape) == [LIMIT, WIDTH], f"{list(kept.shape)} samples are kept"
    assert metadata["0.input_samples"] == str(LIMIT)
    index = {tuple(row): place for place, row in enumerate(seen.tolist())}
    # A third of the run each: its share among the kept ones, which come from all over it.
    places = torch.tensor([index[tuple(row)] for row in kept.tolist()])
    shares = torch.bincount(places * 3 // len(seen), minlength=3) / LIMIT
    assert ((shares - 1 / 3).abs() < 0.08).all(), f"the thirds of the run have shares {shares.tolist()}"
    assert len(places.unique()) == LIMIT, "a sample is kept twice"

    awkward(folder)
    other_layers(folder)
    silent(folder)


def silent(folder):
    model = torch.nn.ModuleDict({"seen": torch.nn.Linear(4, 4), "attention": torch.nn.MultiheadAttention(4, 2)})
    x = torch.randn(3, 1, 4)
    with Collector(model) as collector:
        model["attention"](model["seen"](x), x, x)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        collector.save(folder / "silent.safetensors")
    assert len(said) == 1 and 'never called "attention.out_proj", so' in str(said[0].message), [str(one.message) for one in said]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Collector(model["seen"]) as collector:
            model["seen"](x)
        collector.save(folder / "loud.safetensors")


class Conv1D(torch.nn.Module):
    """As GPT-2 has it."""

    def __init__(self, outputs, inputs):
        super().__init__()
        self.nf = outputs
        self.weight, self.bias = torch.nn.Parameter(torch.randn(inputs, outputs)), torch.nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


def patches_by_outputs(convolution, x):
    """A convolution's input as vectors, by what its outputs are: with one weight set to 1 after the other, the output is that part of them."""
    parts = []
    weight = convolution.weight
    for index in range(weight[0].numel()):
        one = torch.zeros_like(weight)
        one.view(len(weight), -1)[:, index] = 1
        with torch.no_grad():
            out = convolution._conv_forward(x, one, None)
        # Of each group one output: groups are vectors of their own.
        out = out[:, :: len(weight) // convolution.groups]
        parts.append(out.transpose(0, 1).flatten())
    return torch.stack(parts, dim=1)


def other_layers(folder):
    torch.manual_seed(3)
    convolutions = {
        "plain": (torch.nn.Conv2d(3, 4, 3, padding=1, stride=2), torch.randn(2, 3, 9, 8)),
        "same": (torch.nn.Conv2d(3, 4, (2, 3), padding="same", padding_mode="circular"), torch.randn(2, 3, 6, 7)),
        "dilated": (torch.nn.Conv1d(4, 6, 3, dilation=2, groups=2), torch.randn(3, 4, 20)),
        "deep": (torch.nn.Conv3d(2, 3, 2), torch.randn(1, 2, 4, 5, 6)),
    }
    model = torch.nn.ModuleDict({name: layer for name, (layer, _) in convolutions.items()})
    model["transposed"] = Conv1D(5, 7)
    model["wide"] = torch.nn.Linear(40, 2)
    x, wide = torch.randn(50, 7), torch.randn(50, 40)
    with Collector(model, gradients=True) as collector:
        for name, (_, seen) in convolutions.items():
            output = model[name](seen)
            (output * output.detach()).sum().backward()
        model["transposed"](x).square().sum().backward()
        collector.samples = 19
        model["wide"](wide)
    collector.save(folder / "new" / "others.safetensors")
    tensors, metadata = read(folder / "new" / "others.safetensors")
    assert "dilated.input_mean" not in tensors, "the mean of all groups together is no row's"
    assert metadata["dilated.groups"] == "2" and "plain.groups" not in metadata, "the groups are not told"
    for name, (layer, seen) in convolutions.items():
        expected = patches_by_outputs(layer, seen)
        close(tensors[f"{name}.input_second_moment"], expected.T @ expected / len(expected), 1e-4, f"the convolution {name}")
        out = layer(seen).detach().transpose(0, 1).flatten(1)
        close(tensors[f"{name}.output_second_moment"], out @ out.T / out.shape[1], 1e-4, f"the gradients of {name}")
    # Its weight is stored the other way round.
    close(tensors["transposed.output_second_moment"], x.T @ x / len(x), 1e-4, "the transposed layer's inputs")
    gradient = 2 * model["transposed"](x).detach()
    close(tensors["transposed.input_second_moment"], gradient.T @ gradient / len(x), 1e-4, "the transposed layer's gradients")
    assert "transposed.input_mean" not in tensors, "a mean gradient would pass for a mean input"
    assert list(tensors["wide.input"].shape) == [19, 40], "few samples of many inputs are kept as they are"


class Awkward(torch.nn.Module):
    """A layer called by keyword with an activation in place behind it, one that gets nothing but zeros, and huge inputs."""

    def __init__(self):
        super().__init__()
        self.first, self.dead, self.last = torch.nn.Linear(4, 5), torch.nn.Linear(4, 5), torch.nn.Linear(5, 2)

    def forward(self, x):
        first = self.first(input=x) if HOOK_OPTIONS else self.first(x)
        hidden = torch.nn.functional.relu(first, inplace=True)
        return self.last(hidden) + self.last(self.dead(torch.zeros_like(x)) * 0)


def awkward(folder):
    torch.manual_seed(2)
    model = Awkward().requires_grad_(False)
    x = torch.randn(64, 4)
    with Collector(model, gradients=True) as collector:
        model(x).square().sum().backward()
        model(torch.full((1, 4), 1e30))
    collector.save(folder / "awkward.safetensors")
    tensors, metadata = read(folder / "awkward.safetensors")
    close(tensors["first.input_second_moment"], x.T @ x / len(x), 1e-3, "the layer called by keyword")
    assert not any(name.startswith("dead.input") for name in [*tensors, *metadata]), "a layer of zeros is told"
    assert all(tensor.isfinite().all() for tensor in tensors.values()), "huge inputs became infinite"
    hidden = model.first(x).requires_grad_(True)
    (model.last(torch.relu(hidden)) + model.last(model.dead(torch.zeros_like(x)) * 0)).square().sum().backward()
    gradient = hidden.grad
    found = tensors["first.output_second_moment"]
    close(found / found.trace(), gradient.T @ gradient / gradient.square().sum(), 1e-3, "gradients before an activation in place")


main()
