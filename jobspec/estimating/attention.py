"""Which kernels are attention: two contractions with rows between them that never need to leave the chip.

Takes: the kernels of one piece. Promises: the kernels between whose contractions a value stands that is larger than
twice what goes in and comes out, thin enough (heads of at most 256) to be made and used up tile by tile (Dao et al.
2022, arXiv 2205.14135), and whether a mask on places hides half of it. No kernel with a weight is one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from jobspec.estimating.weights import Weights
from jobspec.ir.kernel import Inst, Kernel, View

#: the widest head, and how much larger the value between must be
THIN, RATIO = 256, 2


@dataclass(frozen=True)
class Inner:
    """`kernels`: numbers; `makes`: those of them that make scores from what is kept; `values`: buffers that stay on the
    chip; `masked`: whether places see only those before them."""

    kernels: frozenset[int]
    makes: frozenset[int]
    values: frozenset[int]
    masked: bool


@dataclass(frozen=True)
class Product:
    """A contraction's operands and results: buffers, and elements of each."""

    a: int
    b: int
    made: tuple[int, ...]
    sizes: Mapping[str, int]
    thin: int

    def fat(self) -> str | None:
        """The one of a, b and out that is larger than twice the others together."""
        total = sum(self.sizes.values())
        big = max(self.sizes, key=lambda name: self.sizes[name])
        return big if self.thin <= THIN and self.sizes[big] > RATIO * (total - self.sizes[big]) else None


def inner(kernels: Mapping[int, Kernel], weights: Weights) -> Inner:
    """`kernels`: those of a piece by number."""
    products = {i: product_of(k) for i, k in kernels.items() if k.kind == "contract"}
    plain = {i: p for i, p in products.items() if not {p.a, p.b} & weights.slots.keys()}
    used = {p.a if p.fat() == "a" else p.b for p in plain.values() if p.fat() in ("a", "b")}
    values = joined(kernels, used)
    makes = {i for i, p in plain.items() if p.fat() == "out" and values.intersection(p.made)}
    if not makes:
        return Inner(frozenset(), frozenset(), frozenset(), False)
    takes = {i for i, p in plain.items() if p.fat() in ("a", "b") and values & {p.a, p.b}}
    rows = {i for i, k in kernels.items() if k.kind == "rows" and buffers_of(k) & values}
    masked = any(hides(kernels[i]) for i in rows)
    return Inner(frozenset(makes | takes | rows), frozenset(makes), frozenset(values), masked)


def joined(kernels: Mapping[int, Kernel], used: set[int]) -> set[int]:
    """`used` and what rows make one of another, element for element."""
    values, found = set(used), [full_views(k) for k in kernels.values() if k.kind == "rows"]
    while more := {buffer for views in found if views & values for buffer in views} - values:
        values |= more
    return values


def full_views(kernel: Kernel) -> set[int]:
    """Buffers of which each point of the kernel has an element of its own."""
    return {
        view.buffer
        for view, _ in kernel.views()
        if all(stride or axis.size == 1 for axis, stride in zip(kernel.axes, view.strides, strict=True))
    }


def buffers_of(kernel: Kernel) -> set[int]:
    return {view.buffer for view, _ in kernel.views()}


def product_of(kernel: Kernel) -> Product:
    (product,) = (inst for inst in kernel.body if inst.op == "product")
    sizes = {role: prod(a.size for a in kernel.axes if a.role == role) for role in ("batch", "m", "n", "k")}
    batch, m, n, k = sizes.values()
    a: View = product["a"]
    b: View = product["b"]
    made = tuple(inst["view"].buffer for inst in kernel.body if inst.op == "store")
    counts = {"a": batch * m * k, "b": batch * n * k, "out": batch * m * n}
    return Product(a.buffer, b.buffer, made, counts, min(m, n, k))


def hides(kernel: Kernel) -> bool:
    """Whether the kernel compares the places along two of its axes."""

    def place(number: int) -> int | None:
        inst: Inst = kernel.body[number]
        return inst["axis"] if inst.op == "index" else None

    compared = [inst.args for inst in kernel.body if inst.op in ("lt", "le")]
    return any(None not in (found := [place(i) for i in args]) and found[0] != found[1] for args in compared)
