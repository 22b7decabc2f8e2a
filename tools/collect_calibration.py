"""Collects what a model's linear layers see, as a calibration file for `fp8 convert --calibration`. Needs nothing but PyTorch
and the NumPy that it works with.

    with Collector(model) as collector:
        for batch in batches:
            model(**batch)
    collector.save("calibration.safetensors", source="32 prompts")
"""

import json
import os
import struct

import torch

# PyTorch 2 tells hooks also what a layer was given by name.
HOOK_OPTIONS = {"with_kwargs": True} if int(torch.__version__.split(".")[0]) >= 2 else {}


class Collector:
    """Hooks every nn.Linear of a module while it is entered; what it gathers stays until it is saved.

    samples: how many vectors of each layer are looked at, more of a longer run but ever fewer of each batch; keep: "second_moment" sums them up
    where the model is, "samples" keeps that many;
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
        self.inputs, self.outputs, self.handles = {}, {}, []

    def __enter__(self):
        for name, module in self.model.named_modules():
            if isinstance(module, torch.nn.Linear) and self.layers(name):
                self.handles.append(module.register_forward_hook(self._hook(name), **HOOK_OPTIONS))
        if not self.handles:
            raise RuntimeError("the model has no nn.Linear layer that is wanted")
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def save(self, path, source=""):
        tensors, metadata = {}, {"source": source}
        for side, layers in (("input", self.inputs), ("output", self.outputs)):
            for name, seen in layers.items():
                tensors.update(seen.tensors(name, side))
                if any(known.startswith(f"{name}.{side}") for known in tensors):
                    metadata[f"{name}.{side}_samples"] = str(seen.count)
        if not tensors:
            raise RuntimeError("nothing was collected: run the model inside the with block")
        write_safetensors(path, tensors, metadata)

    def _hook(self, name):
        def hook(_module, arguments, *named_and_output):
            *named, output = named_and_output
            if not arguments and not named:
                raise RuntimeError(f'"{name}" is called as linear(input=x), which hooks of PyTorch 1 do not see: use PyTorch 2')
            self._seen(self.inputs, name).add((arguments[0] if arguments else named[0]["input"]).detach())
            if not self.gradients or not torch.is_grad_enabled():
                return
            # A frozen model has gradients of its layers' outputs all the same.
            if not output.requires_grad:
                output.requires_grad_(True)
            output.register_hook(lambda gradient: self._seen(self.outputs, name).add(gradient.detach()))
            # What changes its input in place gets a copy, so that the gradient stays that of the layer's output.
            return output.clone()

        return hook

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
        later = rows[room:]
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
        if side == "input":
            found[f"{name}.input_mean"] = (self.total / self.seen).cpu()
        return found


def write_safetensors(path, tensors, metadata):
    """F32 tensors as a .safetensors file, which is complete or not there at all."""
    header, end = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
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
