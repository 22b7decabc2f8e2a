"""A small diffusion transformer with adaptive layer norms (adaLN) for 8 × 8 digits, and its training. Needs PyTorch and scikit-learn."""

import math

import torch
from torch import nn
from torch.nn import functional

PATCH = 2
CLASSES = 10


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(functional.gelu(self.fc1(x)))


def modulated(x, shift, scale):
    return x * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = FeedForward(width)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        nn.init.zeros_(self.adaLN_modulation[1].weight)
        nn.init.zeros_(self.adaLN_modulation[1].bias)

    def forward(self, x, condition):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(condition).chunk(6, dim=1)
        x = x + gate1[:, None] * self.attn(modulated(self.norm1(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulated(self.norm2(x), shift2, scale2))


class FinalLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.linear = nn.Linear(width, PATCH * PATCH)

    def forward(self, x, condition):
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=1)
        return self.linear(modulated(self.norm(x), shift, scale))


class DigitsTransformer(nn.Module):
    """Predicts the velocity of a straight path from noise to an image, from where it is, the time and the digit."""

    def __init__(self, width=256, depth=6, heads=4):
        super().__init__()
        self.x_embedder = nn.Linear(PATCH * PATCH, width)
        self.t_embedder = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.y_embedder = nn.Embedding(CLASSES, width)
        self.pos_embed = nn.Parameter(0.02 * torch.randn((8 // PATCH) ** 2, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.final_layer = FinalLayer(width)

    def forward(self, images, time, digit):
        frequencies = torch.exp(torch.arange(32, device=time.device) * (-math.log(1e4) / 32)) * 1000
        angles = time[:, None] * frequencies
        condition = self.t_embedder(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.y_embedder(digit)
        side = 8 // PATCH
        x = images.reshape(-1, side, PATCH, side, PATCH).transpose(2, 3).reshape(-1, side * side, PATCH * PATCH)
        x = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            x = block(x, condition)
        x = self.final_layer(x, condition)
        return x.reshape(-1, side, side, PATCH, PATCH).transpose(2, 3).reshape(-1, 8, 8)


class Digits:
    """scikit-learn's 1,797 digits, values −1 to 1. The last 297 are held out."""

    def __init__(self, device):
        from sklearn.datasets import load_digits

        data = load_digits()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
        images = torch.tensor(data.images, dtype=torch.float32)[order].to(device) / 8 - 1
        digits = torch.tensor(data.target, dtype=torch.int64)[order].to(device)
        self.train, self.held_out = (images[:1500], digits[:1500]), (images[1500:], digits[1500:])


class DrawnDigits:
    """Where scikit-learn is not installed: seven-segment digits, shifted, blurred and noisy. To try the script; its figures say little."""

    SEGMENTS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg")
    CELLS = {
        "a": [(1, 2), (1, 3), (1, 4)],
        "b": [(1, 4), (2, 4), (3, 4)],
        "c": [(3, 4), (4, 4), (5, 4)],
        "d": [(5, 2), (5, 3), (5, 4)],
        "e": [(3, 2), (4, 2), (5, 2)],
        "f": [(1, 2), (2, 2), (3, 2)],
        "g": [(3, 2), (3, 3), (3, 4)],
    }

    def __init__(self, device):
        generator = torch.Generator().manual_seed(0)
        digits = torch.randint(CLASSES, (1797,), generator=generator)
        shifts = torch.randint(-1, 2, (1797, 2), generator=generator)
        images = torch.zeros(1797, 8, 8)
        for image, digit, shift in zip(images, digits.tolist(), shifts.tolist()):
            for segment in self.SEGMENTS[digit]:
                for row, column in self.CELLS[segment]:
                    image[row + shift[0], column + shift[1]] = 1
        blur = torch.tensor([[0.05, 0.1, 0.05], [0.1, 0.6, 0.1], [0.05, 0.1, 0.05]])[None, None]
        images = functional.conv2d(images[:, None], blur, padding=1)[:, 0]
        images = (2 * images - 1 + 0.1 * torch.randn(images.shape, generator=generator)).clamp(-1, 1).to(device)
        digits = digits.to(device)
        self.train, self.held_out = (images[:1500], digits[:1500]), (images[1500:], digits[1500:])


def noised(images, generator):
    """Images on their way from noise (time 0), the time, and the velocity."""
    device = images.device
    time = torch.rand(len(images), generator=generator).to(device)
    noise = torch.randn(images.shape, generator=generator).to(device)
    at = time[:, None, None]
    return at * images + (1 - at) * noise, time, images - noise


def train(model, data, steps, batch, seed=0):
    """Returns the mean loss of the last tenth of the steps."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    images, digits = data.train
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(images), (batch,), generator=generator).to(images.device)
        x, time, velocity = noised(images[chosen], generator)
        loss = functional.mse_loss(model(x, time, digits[chosen]), velocity)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
    return torch.stack(losses[-max(1, steps // 10) :]).mean().item()
