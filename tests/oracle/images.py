"""What the PyTorch models of images are made of, as plain functions of tensors in our own axis order: B Y X C."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.oracle.recipe import Kept, Weights


def whole(bits: Tensor, low: int, high: int) -> Tensor:
    """Our randint[…](low, high) out of its random bits."""
    return ((bits * (high - low)) >> 32) + low


def linear(w: Weights, x: Tensor) -> Tensor:
    return x @ w["w"] + w["b"]


def conv(x: Tensor, w: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
    """w: Ky Kx I O."""
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=stride, padding=pad)
    return y.permute(0, 2, 3, 1)


def pooled(x: Tensor, size: int, stride: int, pad: int = 0) -> Tensor:
    return F.max_pool2d(x.permute(0, 3, 1, 2), size, stride, pad).permute(0, 2, 3, 1)


def batch_norm(x: Tensor, w: Weights, kept: Kept, path: str, index: int | None = None) -> Tensor:
    """Of the last axis, over all others; changes what is kept. `index`: one turn of the `repeat` around it."""
    names = [f"{path}.{n}" for n in ("mu", "var", "g", "b")]
    found = [(kept if i < 2 else w)[name] for i, name in enumerate(names)]
    mu, var, g, b = found if index is None else [t[index] for t in found]
    return F.batch_norm(x.flatten(0, -2), mu, var, g, b, training=True).reshape(x.shape)


def group_norm(x: Tensor, w: Weights, groups: int) -> Tensor:
    return F.group_norm(x.permute(0, 3, 1, 2), groups, w["g"], w["b"]).permute(0, 2, 3, 1)


def shifted(x: Tensor, bits: Tensor, n: int, axis: int) -> Tensor:
    """Moved along `axis` by up to n places, 0 behind it."""
    pad = [0, 0] * (x.ndim - 1 - axis) + [n, n]
    padded, starts = F.pad(x, pad), whole(bits, 0, 2 * n + 1)
    size = x.shape[axis]
    return torch.stack([one.narrow(axis - 1, int(at), size) for one, at in zip(padded, starts, strict=True)])


def mirrored(x: Tensor, drawn: Tensor) -> Tensor:
    """Along the third axis where `drawn` is below a half."""
    return torch.where((drawn < 0.5).reshape(-1, *[1] * (x.ndim - 1)), x.flip(2), x)


def resampled(x: Tensor, axis: int, size: int, low: Tensor, span: Tensor) -> Tensor:
    """`axis` to `size` places that cover the share `span` from `low` on, linear between neighbours."""
    old = x.shape[axis]
    at = (low[:, None] + (torch.arange(size) + 0.5) / size * span[:, None]) * old - 0.5
    at = at.clamp(0, old - 1)
    below = at.floor().long().clamp(max=old - 2)
    part = (at - below).reshape(-1, *[size if a == axis else 1 for a in range(1, x.ndim)])
    return torch.stack(
        [
            torch.lerp(one.index_select(axis - 1, i), one.index_select(axis - 1, i + 1), p)
            for one, i, p in zip(x, below, part.to(x.dtype), strict=True)
        ]
    )


def resized_crop(x: Tensor, size: int, least: float, drawn: list[Tensor]) -> Tensor:
    """torchvision's RandomResizedCrop as std.augment has it; `drawn`: area, ratio, top, left."""
    side = (least + (1 - least) * drawn[0]).sqrt()
    lean = (4 / 3) ** (drawn[1] - 0.5)
    height, width = (side * lean).clamp(max=1), (side / lean).clamp(max=1)
    x = resampled(x, 1, size, (1 - height) * drawn[2], height)
    return resampled(x, 2, size, (1 - width) * drawn[3], width)


def beta(u: Tensor, v: Tensor, a: float) -> Tensor:
    """Jöhnk: the first pair of each row that fits."""
    x, y = u ** (1 / a), v ** (1 / a)
    first = (x + y <= 1).long().argmax(1, keepdim=True)
    return (x / (x + y)).gather(1, first)[:, 0]


def mixed(x: Tensor, share: Tensor) -> Tensor:
    s = share.reshape(-1, *[1] * (x.ndim - 1))
    return s * x + (1 - s) * x.flip(0)


def mixed_entropy(z: Tensor, label: Tensor, share: Tensor, smooth: float) -> Tensor:
    one, other = (F.cross_entropy(z, t, reduction="none", label_smoothing=smooth) for t in (label, label.flip(0)))
    return (share * one + (1 - share) * other).mean()


def sincos(down: int, across: int, width: int, last: float) -> Tensor:
    """Fixed positions, width/4 frequencies from 1 to 10,000^-(W-1)/last: sin x, cos x, sin y, cos y. T D."""
    f = 10_000 ** (-torch.arange(width // 4) / last)
    y = (torch.arange(down)[:, None, None] * f).expand(down, across, -1)
    x = (torch.arange(across)[None, :, None] * f).expand(down, across, -1)
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], -1).flatten(0, 1)


def patches(x: Tensor, p: int) -> Tensor:
    """B Y X C as B T (p p C)."""
    b, y, _, c = x.shape
    return x.reshape(b, y // p, p, -1, p, c).transpose(2, 3).reshape(b, -1, p * p * c)
