"""Collects what a model's linear layers see, as a calibration file for `fp8 convert --calibration`. Needs PyTorch and safetensors.

    with Collector(model) as collector:
        for batch in batches:
            model(**batch)
    collector.save("calibration.safetensors", source="32 prompts")
"""

import torch
from safetensors.torch import save_file


class Collector:
    """Hooks every nn.Linear of a module while it is entered; what it gathers stays until it is saved."""

    def __init__(self, model, samples=8192, keep="second_moment", gradients=False, seed=0):
        if keep not in ("second_moment", "samples"):
            raise ValueError(f'keep must be "second_moment" or "samples"; it is "{keep}"')
        self.model, self.samples, self.keep, self.gradients = model, samples, keep, gradients
        self.generator = torch.Generator().manual_seed(seed)
        self.inputs, self.outputs, self.handles = {}, {}, []

    def __enter__(self):
        for name, module in self.model.named_modules():
            if not isinstance(module, torch.nn.Linear):
                continue
            self.handles.append(module.register_forward_hook(self._on_forward(name)))
            if self.gradients:
                self.handles.append(module.register_full_backward_hook(self._on_backward(name)))
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
                if side == "input" or name not in self.inputs:
                    metadata[f"{name}.samples"] = str(seen.count)
        if not tensors:
            raise RuntimeError("nothing was collected: run the model inside the with block")
        save_file(tensors, path, metadata)

    def _on_forward(self, name):
        def hook(_module, arguments, _output):
            self._seen(self.inputs, name).add(arguments[0].detach())

        return hook

    def _on_backward(self, name):
        def hook(_module, _input_gradients, output_gradients):
            if output_gradients[0] is not None:
                self._seen(self.outputs, name).add(output_gradients[0].detach())

        return hook

    def _seen(self, layers, name):
        if name not in layers:
            layers[name] = Seen(self.samples, self.keep, self.generator)
        return layers[name]


class Seen:
    """Up to `limit` vectors of one side of one layer."""

    def __init__(self, limit, keep, generator):
        self.limit, self.keep, self.generator = limit, keep, generator
        self.count, self.rows, self.total, self.square = 0, [], None, None

    def add(self, values):
        rows = values.reshape(-1, values.shape[-1])
        room = self.limit - self.count
        # Half of what is left at most, so that later batches have their say.
        room = max(1, room // 2) if len(rows) >= room > 0 else room
        if room <= 0:
            return
        if len(rows) > room:
            rows = rows[torch.randperm(len(rows), generator=self.generator)[:room].to(rows.device)]
        rows = rows.float()
        rows = rows[torch.isfinite(rows).all(dim=1)]
        self.count += len(rows)
        if self.keep == "samples":
            self.rows.append(rows.cpu())
            return
        if self.square is None:
            self.total, self.square = torch.zeros_like(rows[0]), rows.new_zeros(rows.shape[1], rows.shape[1])
        self.total += rows.sum(dim=0)
        self.square += rows.T @ rows

    def tensors(self, name, side):
        if self.count == 0:
            return {}
        if self.keep == "samples":
            return {f"{name}.{'input' if side == 'input' else 'output_gradient'}": torch.cat(self.rows)}
        found = {f"{name}.{side}_second_moment": (self.square / self.count).cpu()}
        if side == "input":
            found[f"{name}.input_mean"] = (self.total / self.count).cpu()
        return found
