"""Movement: elements are placed, repeated or left out; none is computed.

Takes: arrays and the attributes of the op table's movement rows. Promises: bit patterns pass unchanged.
"""

from __future__ import annotations

import numpy as np

from jobspec.backends.reference.numbers import Array, from_bits

Ints = tuple[int, ...]


def broadcast(x: Array, shape: Ints, axes: Ints) -> Array:
    """Operand axis i becomes result axis axes[i]; the others repeat."""
    expanded = [shape[i] if i in axes else 1 for i in range(len(shape))]
    return np.broadcast_to(x.reshape(expanded), shape)


def slice_(x: Array, start: Ints, stop: Ints, step: Ints) -> Array:
    return x[tuple(map(slice, start, stop, step))]


def window(x: Array, axes: Ints, sizes: Ints, strides: Ints) -> Array:
    """Position axes count windows; the window axes follow the last of them."""
    views = np.lib.stride_tricks.sliding_window_view(x, sizes, axes)
    stepped = dict(zip(axes, strides, strict=True))
    views = views[tuple(slice(None, None, stepped.get(i, 1)) for i in range(x.ndim))]
    after = axes[-1] + 1
    return views.transpose(*range(after), *range(x.ndim, views.ndim), *range(after, x.ndim))


def pad(x: Array, low: Ints, high: Ints, inner: Ints, dtype: str, bits: int) -> Array:
    """`bits`, of the IR type `dtype`, before, after and between the elements of each axis."""
    spread = [n + (n - 1) * gap for n, gap in zip(x.shape, inner, strict=True)]
    shape = [n + before + after for n, before, after in zip(spread, low, high, strict=True)]
    out = np.full(shape, from_bits(dtype, (bits,))[0])
    places = [slice(before, before + n, gap + 1) for before, n, gap in zip(low, spread, inner, strict=True)]
    out[tuple(places)] = x
    return out
