"""How much of a diffusion transformer's output survives each rounding: trains one on 8 × 8 digits, collects calibration statistics with
tools/collect_calibration.py, converts it with `fp8 convert` by each source of statistics, and compares outputs on digits it has not seen.

    python3 bench/digits/run.py --fp8 'node dist/fp8.js' --device cuda:0 --json figures.json

Prints the relative output error ‖f(quantized) − f(original)‖ ÷ ‖f(original)‖ of each, and its ratio to nearest rounding. Needs PyTorch,
safetensors and scikit-learn; --drawn makes digits of its own where the last is missing. The seeds are fixed; a GPU's sums are not.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from collect_calibration import Collector
from model import DigitsTransformer, Digits, DrawnDigits, noised, train
from tensors import read_model, write_model

# As in every known family of diffusion transformers.
KEEP = ["--keep", "final_layer.*"]
LEARNED = ["--rounding", "learned"]
VARIANTS = {
    "nearest": ["--rounding", "nearest"],
    "gram": [*LEARNED, "--statistics", "gram", "--sides", "input"],
    "gram, both sides": [*LEARNED, "--statistics", "gram", "--sides", "both"],
    "propagated": [*LEARNED, "--statistics", "propagated", "--sides", "input"],
    "propagated, both sides": [*LEARNED, "--statistics", "propagated", "--sides", "both"],
    "calibrated": [*LEARNED, "--calibration", "inputs", "--sides", "input"],
    "calibrated, gram outputs": [*LEARNED, "--calibration", "inputs", "--sides", "both"],
    "calibrated, output gradients": [*LEARNED, "--calibration", "gradients", "--sides", "both"],
}
# Against nearest; what `check` holds.
LIMITS = {"gram": 0.80, "propagated": 0.75, "calibrated, output gradients": 0.347}


def collect(model, data, path, batches, samples, gradients):
    """The gradients are of random combinations of the outputs, whose second moment says how much each output of a layer moves the result."""
    generator = torch.Generator().manual_seed(1)
    images, digits = data.train
    with Collector(model, samples=samples, gradients=gradients) as collector:
        for _ in range(batches):
            chosen = torch.randint(len(images), (128,), generator=generator).to(images.device)
            x, at, _ = noised(images[chosen], generator)
            output = model(x, at, digits[chosen])
            if gradients:
                (output * torch.randn(output.shape, generator=generator).to(output.device)).sum().backward()
                model.zero_grad(set_to_none=True)
    collector.save(str(path), source=f"{batches} batches of 128 digits")


def outputs(model, data):
    """And what they should be, both [outputs, 8, 8]."""
    images, digits = data.held_out
    generator = torch.Generator().manual_seed(2)
    found, wanted = [], []
    with torch.no_grad():
        for _ in range(8):
            x, at, velocity = noised(images, generator)
            found.append(model(x, at, digits).double())
            wanted.append(velocity.double())
    return torch.cat(found), torch.cat(wanted)


def held_out_loss(model, data):
    found, wanted = outputs(model, data)
    return (found - wanted).square().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fp8", default="node dist/fp8.js", help="how the command line tool is called")
    parser.add_argument("--device", default="auto", help="of fp8")
    parser.add_argument("--torch-device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=1500, help="of training; with more, digits that it has not seen suffer")
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--batches", type=int, default=96, help="of 128 digits, for calibration")
    parser.add_argument("--samples", type=int, default=32768, help="that the collector keeps of each layer, at most")
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), help="these roundings alone")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--drawn", action="store_true", help="digits of its own instead of scikit-learn's")
    parser.add_argument("--model", help="a model that an earlier run with --folder has trained, instead of training one")
    parser.add_argument("--folder", help="keeps the files there")
    parser.add_argument("--json", help="writes every figure")
    parser.add_argument("--check", action="store_true", help="fails where a limit is not kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        figures = measure(options, folder)
    print(f"\n{'rounding':30} {'relative error':>15} {'÷ nearest':>10} {'seconds':>8}")
    for name, figure in figures["variants"].items():
        print(f"{name:30} {100 * figure['error']:13.4f} % {figure['ratio']:10.3f} {figure['seconds']:8.2f}  {figure['sources']}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")
    missed = [f"{name}: {figures['variants'][name]['ratio']:.3f} > {limit}" for name, limit in LIMITS.items() if name in figures["variants"] and figures["variants"][name]["ratio"] > limit]
    if missed:
        print("limits not kept: " + "; ".join(missed))
    return 1 if missed and options.check else 0


def measure(options, folder):
    torch.manual_seed(options.seed)
    device = options.torch_device
    data = (DrawnDigits if options.drawn else Digits)(device)
    model = DigitsTransformer(options.width, options.depth).to(device)
    began = time.monotonic()
    loss = float("nan") if options.model else train(model, data, options.steps, 256, options.seed)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    unseen = held_out_loss(model, data)
    print(
        f"trained {parameters / 1e6:.1f} M parameters, {options.steps} steps in {time.monotonic() - began:.0f} s, "
        f"loss {loss:.4f}, of held-out digits {unseen:.4f}",
        flush=True,
    )
    source = folder / "digits.safetensors"
    if options.model:
        source = Path(options.model)
    else:
        write_model(model, source)
    # The original is what the file holds: BF16.
    read_model(model, source)
    collect(model, data, folder / "inputs.safetensors", options.batches, options.samples, gradients=False)
    collect(model, data, folder / "gradients.safetensors", options.batches, options.samples, gradients=True)
    reference, _ = outputs(model, data)
    variants = {}
    for name in dict.fromkeys(["nearest", *options.only]):
        arguments = VARIANTS[name]
        arguments = [str(folder / f"{argument}.safetensors") if argument in ("inputs", "gradients") else argument for argument in arguments]
        output, report = folder / "quantized.safetensors", folder / "report.json"
        command = [*shlex.split(options.fp8), "convert", str(source), "-o", str(output), "--force", "--report", str(report), *KEEP]
        began = time.monotonic()
        done = subprocess.run([*command, "--device", options.device, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{name}: {done.stderr or done.stdout}")
        seconds = time.monotonic() - began
        told = json.loads(report.read_text())
        read_model(model, output)
        error = ((outputs(model, data)[0] - reference).norm() / reference.norm()).item()
        variants[name] = {"error": error, "seconds": seconds, "sources": sources_of(told)}
    for figure in variants.values():
        figure["ratio"] = figure["error"] / variants["nearest"]["error"]
    return {"parameters": parameters, "loss": loss, "held_out_loss": unseen, "steps": options.steps, "variants": variants}


def sources_of(report):
    """How many matrices were rounded by what, and where."""
    counts = {}
    for tensor in report["tensors"]:
        if tensor["action"] == "quantize":
            key = f"{tensor.get('statistics', {}).get('inputs', 'none')} on {tensor.get('device', '?')}"
            counts[key] = counts.get(key, 0) + 1
    return ", ".join(f"{count} {key}" for key, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
