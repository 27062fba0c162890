"""The normal form of a contract kernel: batch × m × n × k with as few axes as its views allow.

Takes: a kernel of kind contract. Promises: neighbouring axes of one role are one extent wherever every
view walks them with one stride; k is flattened in the kernel's order for `a` and `b` each by itself,
as no order but that of the sum binds the two. Nothing of any target: schedulers and backends read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

from jobspec.ir.contract import LEAF
from jobspec.ir.kernel import Kernel, View


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` positions of the kernel's axis `axis` (of merged axes the innermost, run past its own size); `a`, `b`:
    elements that one position moves in the operands."""

    size: int
    axis: int
    a: int
    b: int


@dataclass(frozen=True, slots=True)
class Owner:
    """`view` reads once per batch position whose part of the operand `side` (a or b) is meant, `pick` elements each."""

    view: View
    pick: int
    side: str


@dataclass(frozen=True, slots=True)
class Span:
    """`first` and `count` read once per batch position which positions of k take part."""

    first: View
    count: View


@dataclass(frozen=True)
class Contraction:
    """`batch` may be empty, the others not. `ka`, `kb`: the flattened k, as `a` and as `b` walk it. `product`: its
    place in the body. `owner`, `span`: what an index decides, if it does; `own`: a leaf may be summed in the device's
    own order; `chain`: steps of a leaf, where leaves are added in order to
    the value of inst `start`; 0: the tree."""

    batch: tuple[Extent, ...]
    m: tuple[Extent, ...]
    n: tuple[Extent, ...]
    ka: tuple[Extent, ...]
    kb: tuple[Extent, ...]
    a: View
    b: View
    product: int
    owner: Owner | None = None
    span: Span | None = None
    own: bool = False
    chain: int = 0
    start: int = -1

    @property
    def leaf(self) -> int:
        """Steps of a leaf."""
        return self.chain or LEAF

    @property
    def leaves(self) -> int:
        return -(-self.k_size // self.leaf)

    @property
    def plain(self) -> bool:
        """Whether no index decides what is multiplied."""
        return self.owner is None and self.span is None

    @property
    def outer(self) -> tuple[Extent, ...]:
        """The loops outside the tiles: batch, and of n all but the last."""
        return (*self.batch, *self.n[:-1])

    @cached_property
    def k_size(self) -> int:
        return size(self.ka)

    def lie_together(self, side: str, width: int) -> bool:
        """Whether `width` neighbours of operand `side`, along k where its steps lie side by side, else along its lines,
        always are `width` elements from a multiple of `width` on."""
        view, lines, k = (self.a, self.m, self.ka) if side == "a" else (self.b, self.n, self.kb)
        run = k if getattr(k[-1], side) == 1 else lines
        others = [getattr(e, side) for e in (*self.batch, *lines, *k) if e != run[-1]]
        whole = getattr(run[-1], side) == 1 and run[-1].size % width == 0
        return whole and all(place % width == 0 for place in (view.offset, *view.turns, *others))

    def swapped(self) -> Contraction:
        """The same sums with the roles of m and n, a and b exchanged (a product does not mind)."""

        def turned(extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
            return tuple(Extent(e.size, e.axis, e.b, e.a) for e in extents)

        batch, m, n, ka, kb = map(turned, (self.batch, self.n, self.m, self.kb, self.ka))
        owner = replace(self.owner, side="a" if self.owner.side == "b" else "b") if self.owner else None
        return replace(self, batch=batch, m=m, n=n, ka=ka, kb=kb, a=self.b, b=self.a, owner=owner)


def multiplications(kernel: Kernel) -> int:
    """Multiply-adds of one run. Where an index chooses maps, each token counts once, however many maps there are."""
    products = [dict(inst.attrs) for inst in kernel.body if inst.op == "product"]
    return sum(_of_product(kernel, attrs) for attrs in products)


def _of_product(kernel: Kernel, attrs: dict[str, Any]) -> int:
    sizes = {role: kernel.size(role) for role in ("batch", "m", "n", "k")}
    if "owner" in attrs:
        return int(attrs["tokens"]) * sizes["n"] * sizes["k"]
    if "first" in attrs:
        return int(attrs["tokens"]) * sizes["m"] * sizes["n"]
    return prod(sizes.values())


def size(extents: Sequence[Extent]) -> int:
    return prod(e.size for e in extents)


@dataclass(frozen=True, slots=True)
class Cut:
    """`length` in `parts` as even as can be: the first `more` have `size`, the others one less."""

    length: int
    parts: int
    size: int
    more: int

    @property
    def even(self) -> bool:
        """Whether all parts have one size."""
        return self.more == self.parts

    def kinds(self) -> list[tuple[int, int, int]]:
        """(first part, parts, their size), one entry or two."""
        rest = self.parts - self.more
        return [(0, self.more, self.size), (self.more, rest, self.size - 1)][: 2 if rest else 1]


def cut(length: int, most: int) -> Cut:
    """As few parts of at most `most` as there can be."""
    parts = -(-length // most)
    size = -(-length // parts)
    return Cut(length, parts, size, length - parts * (size - 1))


def normal_form(kernel: Kernel) -> Contraction:
    """`kernel` has exactly one product, whose operands do not vary over each other's axes, and an axis of each of m, n
    and k."""
    (product,) = (i for i, inst in enumerate(kernel.body) if inst.op == "product")
    a, b = kernel.body[product]["a"], kernel.body[product]["b"]
    attrs = dict(kernel.body[product].attrs)
    views = tuple(view for view, _ in kernel.views())
    indexed = frozenset(inst["axis"] for inst in kernel.body if inst.op == "index")
    assert not _varies(kernel, a, "n") and not _varies(kernel, b, "m"), "an operand varies over the other's axes"

    def extents(role: str, seen: tuple[View, ...], kept: frozenset[int] = frozenset()) -> tuple[Extent, ...]:
        merged = _merge(kernel, kernel.axes_of(role), seen, kept)
        return tuple(Extent(length, axis, a.strides[axis], b.strides[axis]) for length, axis in merged)

    def one(role: str) -> tuple[Extent, ...]:
        """Where all axes of a role have size one, the first of them."""
        return (Extent(1, kernel.axes_of(role)[0], 0, 0),)

    return Contraction(
        batch=extents("batch", views, indexed),
        m=extents("m", views, indexed) or one("m"),
        n=extents("n", views, indexed) or one("n"),
        ka=extents("k", (a,)) or one("k"),
        kb=extents("k", (b,)) or one("k"),
        a=a,
        b=b,
        product=product,
        owner=Owner(attrs["owner"], attrs["pick"], "b") if "owner" in attrs else None,
        span=Span(attrs["first"], attrs["count"]) if "first" in attrs else None,
        own="own" in attrs,
        chain=attrs.get("chain", 0),
        start=kernel.body[product].args[0] if "chain" in attrs else -1,
    )


def _varies(kernel: Kernel, view: View, role: str) -> bool:
    return any(view.strides[axis] for axis in kernel.axes_of(role) if kernel.axes[axis].size > 1)


def _merge(kernel: Kernel, axes: list[int], views: tuple[View, ...], kept: frozenset[int]) -> list[tuple[int, int]]:
    """(size, innermost axis) of the runs of `axes`; axes of size one vanish, those in `kept` stand alone."""
    wide = [axis for axis in axes if kernel.axes[axis].size > 1]
    runs = [[axis] for axis in wide[:1]]
    for outer, inner in pairwise(wide):
        if outer in kept or inner in kept or not _one_walk(kernel, outer, inner, views):
            runs.append([])
        runs[-1].append(inner)
    return [(prod(kernel.axes[axis].size for axis in run), run[-1]) for run in runs]


def _one_walk(kernel: Kernel, outer: int, inner: int, views: tuple[View, ...]) -> bool:
    step = kernel.axes[inner].size
    return all(view.strides[outer] == view.strides[inner] * step for view in views)
