"""Collects what a model's layers see, as a calibration file for `fp8 convert --calibration`. Needs nothing but PyTorch
and the NumPy that it works with.

    with Collector(model) as collector:
        for batch in batches:
            model(**batch)
    collector.save("calibration.safetensors", source="32 prompts")
"""

import json
import os
import struct
import warnings

import torch

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
# Of a convolution, a picture has far more places than anybody needs vectors: so many of each batch, at random.
PLACES = 4096

# PyTorch 2 tells hooks also what a layer was given by name.
HOOK_OPTIONS = {"with_kwargs": True} if int(torch.__version__.split(".")[0]) >= 2 else {}


class Collector:
    """Hooks every nn.Linear, convolution and Conv1D (as GPT-2 has it) of a module while it is entered; what it gathers stays until it is saved.

    samples: how many vectors of each layer are looked at, more of a longer run but ever fewer of each batch; keep: "second_moment" sums them up
    where the model is, or keeps that many where that takes less than half of its room; "samples" always keeps that many;
    gradients: also those of a loss by the layers' outputs, for which `backward()` is called after each batch; layers: whether a layer
    of this name is wanted.
    """

    def __init__(self, model, samples=32768, keep="second_moment", gradients=False, layers=lambda name: True, seed=0):
        if keep not in ("second_moment", "samples"):
            raise ValueError(f'keep must be "second_moment" or "samples"; it is "{keep}"')
        if samples < 1:
            raise ValueError(f"samples must be 1 or more; it is {samples}")
        self.model, self.samples, self.keep, self.gradients, self.layers = model, samples, keep, gradients, layers
        self.generator = torch.Generator().manual_seed(seed)
        self.inputs, self.outputs, self.handles, self.hooked, self.groups = {}, {}, [], set(), {}

    def __enter__(self):
        for name, module in self.model.named_modules():
            if (isinstance(module, (torch.nn.Linear, *CONVOLUTIONS)) or is_transposed(module)) and self.layers(name):
                self.handles.append(module.register_forward_hook(self._hook(name), **HOOK_OPTIONS))
                self.hooked.add(name)
                if getattr(module, "groups", 1) > 1:
                    self.groups[name] = module.groups
        if not self.handles:
            raise RuntimeError("the model has no linear layer or convolution that is wanted")
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def save(self, path, source=""):
        tensors, metadata = {}, {"source": source}
        for side, layers in (("input", self.inputs), ("output", self.outputs)):
            for name, seen in layers.items():
                found = seen.tensors(name, side)
                # Vectors of all groups together: their mean is that of no row of the weight.
                if name in self.groups:
                    found.pop(f"{name}.input_mean", None)
                    if found:
                        metadata[f"{name}.groups"] = str(self.groups[name])
                tensors.update(found)
                if any(known.startswith(f"{name}.{side}") for known in tensors):
                    metadata[f"{name}.{side}_samples"] = str(seen.count)
        self._warn_of_silence()
        if not tensors:
            raise RuntimeError("nothing was collected: run the model inside the with block")
        write_safetensors(path, tensors, metadata)

    def _warn_of_silence(self):
        never = sorted(self.hooked - self.inputs.keys() - self.outputs.keys())
        if not never:
            return
        others = "" if len(never) == 1 else f" and {len(never) - 1} more"
        warnings.warn(
            f'the model never called "{never[0]}"{others}, so nothing is known of what they see: no batch came there, or a module around '
            "them reads their weights itself, as nn.MultiheadAttention does with its out_proj. nn.TransformerEncoderLayer does it in eval "
            "mode, unless torch.backends.mha.set_fastpath_enabled(False) forbids it",
            stacklevel=3,
        )

    def _hook(self, name):
        def hook(module, arguments, *named_and_output):
            *named, output = named_and_output
            if not arguments and not named:
                raise RuntimeError(f'"{name}" is called as linear(input=x), which hooks of PyTorch 1 do not see: use PyTorch 2')
            seen = (arguments[0] if arguments else next(iter(named[0].values()))).detach()
            # A weight that is stored as inputs × outputs has its inputs along its rows, where files have outputs.
            inputs, outputs = (self.outputs, self.inputs) if is_transposed(module) else (self.inputs, self.outputs)
            # Gradients stand where files have inputs, of which samples and means would tell of the layer's mean input: they are summed up alone.
            if is_transposed(module) and name not in outputs:
                outputs[name] = Seen(self.samples, "second_moment_alone", self.generator)
            self._seen(inputs, name).add(self._patches(seen, module) if isinstance(module, CONVOLUTIONS) else seen)
            if not self.gradients or not torch.is_grad_enabled():
                return
            # A frozen model has gradients of its layers' outputs all the same.
            if not output.requires_grad:
                output.requires_grad_(True)
            output.register_hook(lambda gradient: self._seen(outputs, name).add(channels_last(gradient.detach(), module)))
            # What changes its input in place gets a copy, so that the gradient stays that of the layer's output.
            return output.clone()

        return hook

    def _patches(self, x, module):
        """What each place of a convolution's output sees: channels, then the places of the kernel, as in its weight. Some of the places, at random."""
        dimensions = len(module.kernel_size)
        x = x.unsqueeze(0) if x.dim() == dimensions + 1 else x
        mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        x = torch.nn.functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)
        for index, (size, stride, dilation) in enumerate(zip(module.kernel_size, module.stride, module.dilation)):
            x = x.unfold(2 + index, (size - 1) * dilation + 1, stride)[..., ::dilation]
        # Batch, channels, places, kernel: groups of channels are seen by different rows of the weight, and count as vectors of their own.
        x = x.unflatten(1, (module.groups, -1)).movedim(2, 2 + dimensions)
        places = x.shape[: 2 + dimensions]
        count = places.numel()
        chosen = torch.randperm(count, generator=self.generator)[:PLACES].to(x.device) if count > PLACES else torch.arange(count, device=x.device)
        indices = []
        for size in reversed(places):
            indices.insert(0, chosen % size)
            chosen = torch.div(chosen, size, rounding_mode="floor")
        return x[tuple(indices)].flatten(1)

    def _seen(self, layers, name):
        if name not in layers:
            layers[name] = Seen(self.samples, self.keep, self.generator)
        return layers[name]


class Seen:
    """The vectors of one side of one layer. Each of the whole run counts the same, whenever it came: beyond the first `limit`, a part of each batch
    at random is looked at and counts for all of it, and samples that are kept make room for later ones."""

    def __init__(self, limit, keep, generator):
        self.limit, self.keep, self.generator = limit, keep, generator
        self.seen, self.squared_weights, self.rows, self.total, self.square = 0, 0.0, None, None, None

    @property
    def count(self):
        """How many samples say as much: fewer than were seen, since some count for others."""
        if self.seen == 0:
            return 0
        return len(self.rows) if self.keep == "samples" else round(self.seen**2 / self.squared_weights)

    def add(self, values):
        rows = values.reshape(-1, values.shape[-1]).float()
        # Beyond 1e16 squares and their sums could leave F32; no such vector tells anything of a model that works.
        rows = rows[(rows.abs() < 1e16).all(dim=1)]
        if len(rows) == 0:
            return
        if self.keep == "second_moment" and self.seen == 0 and 2 * self.limit < rows.shape[1]:
            self.keep = "samples"
        if self.keep == "samples":
            self._replace(rows.cpu())
        else:
            self._sum(rows)

    def _sum(self, rows):
        if self.square is None:
            self.total, self.square = torch.zeros_like(rows[0]), rows.new_zeros(rows.shape[1], rows.shape[1])
        self.total += rows.sum(dim=0)
        self.seen += len(rows)
        part = rows
        if self.seen > self.limit:
            size = max(1, len(rows) * self.limit // self.seen)
            part = rows[torch.randperm(len(rows), generator=self.generator)[:size].to(rows.device)]
        weight = len(rows) / len(part)
        self.square += weight * (part.T @ part)
        self.squared_weights += weight**2 * len(part)

    def _replace(self, rows):
        room = self.limit - self.count
        if room > 0:
            self.rows = rows[:room].clone() if self.rows is None else torch.cat([self.rows, rows[:room]])
        self.seen += len(rows)
        later = rows[max(0, room) :]
        # The vector that comes as number n takes a random one of n places, of which the first `limit` exist.
        numbers = torch.arange(self.seen - len(later) + 1, self.seen + 1, dtype=torch.float64)
        places = (torch.rand(len(later), generator=self.generator, dtype=torch.float64) * numbers).long()
        stays = places < self.limit
        self.rows[places[stays]] = later[stays]

    def tensors(self, name, side):
        if self.count == 0:
            return {}
        # All zero, as of a layer that never gets a signal: it says nothing.
        if not (self.rows if self.keep == "samples" else self.square).any():
            return {}
        if self.keep == "samples":
            return {f"{name}.{'input' if side == 'input' else 'output_gradient'}": self.rows}
        found = {f"{name}.{side}_second_moment": (self.square / self.seen).cpu()}
        if side == "input" and self.keep == "second_moment":
            found[f"{name}.input_mean"] = (self.total / self.seen).cpu()
        return found


def is_transposed(module):
    """The Conv1D of GPT-2 is a linear layer whose weight is stored as inputs × outputs."""
    return type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def channels_last(gradient, module):
    """One vector for each place of a convolution's output."""
    if not isinstance(module, CONVOLUTIONS):
        return gradient
    return gradient.movedim(-1 - len(module.kernel_size), -1)


def write_safetensors(path, tensors, metadata):
    """F32 tensors as a .safetensors file, which is complete or not there at all."""
    header, end = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for tensor in tensors.values():
                file.write(tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes())
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
