"""A tensor with named axes, and the constants it meets.

Takes: nodes of the tensor program. Promises: a `Tensor` is a node and one name per axis of it; names differ, but in a
linear map, where an axis may stand on both sides of the arrow (`C -> C`). Order of axes carries no meaning to the
writer of a job; it is the stored order, which fixes the order of reductions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobspec.ir.program import Node, make
from jobspec.lang.constants import Number, f32_bits, words
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.source import Span

Axes = tuple[str, ...]
I32_RANGE = range(-(2**31), 2**31)


@dataclass(frozen=True)
class Entry:
    """Where an axis came into a value: words for people, and the place."""

    what: str
    span: Span | None = None


@dataclass(frozen=True, eq=False)
class Tensor:
    """`left`, `right`: of a linear map, how many axes stand before and after the arrow (they come last in `axes`);
    both 0 otherwise. `entered`: axis → where it came from, for error messages only."""

    node: Node
    axes: Axes
    left: int = 0
    right: int = 0
    entered: Mapping[str, Entry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert len(self.axes) == len(self.node.shape), (self.axes, self.node)

    @property
    def dtype(self) -> str:
        return self.node.dtype

    @property
    def is_map(self) -> bool:
        return self.left > 0

    @property
    def stacked(self) -> Axes:
        """Axes that are on no side of an arrow."""
        return self.axes[: len(self.axes) - self.left - self.right]

    @property
    def from_axes(self) -> Axes:
        return self.axes[len(self.stacked) : len(self.stacked) + self.left]

    @property
    def to_axes(self) -> Axes:
        return self.axes[len(self.stacked) + self.left :]

    def size(self, axis: str) -> int:
        return self.node.shape[self.position(axis)]

    def position(self, axis: str) -> int:
        """Where `axis` stands. Refuses an axis that the value lacks, or has on both sides of its arrow."""
        places = [i for i, name in enumerate(self.axes) if name == axis]
        if not places:
            raise Refusal("E0203", f"the value has no axis {axis}", label=f"its axes: {described(self)}")
        if len(places) > 1:
            raise Refusal(
                "E0204",
                f"{axis} stands on both sides of the map's arrow, so it names no single axis",
                help=f"give one side a fresh name where the parameter is declared, as in `{axis} -> {axis}'`",
            )
        return places[0]

    def positions(self, axes: Iterable[str]) -> tuple[int, ...]:
        return tuple(self.position(axis) for axis in axes)


Value = Tensor | Number | bool


def described(value: Value) -> str:
    """The axes with their sizes, as messages show them."""
    if not isinstance(value, Tensor):
        return "none (a number)"
    pairs = zip(value.axes, value.node.shape, strict=True)
    return " ".join(f"{axis} {size}" for axis, size in pairs) or "none (a scalar)"


def origins(*values: object) -> dict[str, Entry]:
    """Where the axes of all these values came from; the first one that knows is believed."""
    table: dict[str, Entry] = {}
    for value in values:
        if isinstance(value, Tensor):
            for axis, entry in value.entered.items():
                table.setdefault(axis, entry)
    return table


def number_node(x: Number | bool, dtype: str) -> Node:
    """A scalar constant, rounded here and only here."""
    return make("const", dtype=dtype, shape=(), bits=(bits_of(x, dtype),))


def bits_of(x: Number | bool, dtype: str) -> int:
    if dtype == "f32":
        return f32_bits(x)
    if dtype == "bool":
        need(isinstance(x, bool), "E0223", f"`{words(x)}` is a number where a condition is needed")
        return int(x)
    whole = isinstance(x, int) or x == int(x)
    need(whole and int(x) in I32_RANGE, "E0222", f"{words(x)} is no 32-bit whole number")
    return int(x) & 0xFFFFFFFF


def scalar(x: Number | bool, dtype: str) -> Tensor:
    return Tensor(number_node(x, dtype), ())


def cast_node(node: Node, dtype: str) -> Node:
    """`node` as `dtype`; storage types widen to i32 first, a bool counts 0 or 1."""
    if node.dtype == dtype:
        return node
    if node.dtype in ("u8", "u16"):
        return cast_node(make("cast", node, dtype="i32"), dtype)
    return make("cast", node, dtype=dtype)


def cast(value: Tensor, dtype: str) -> Tensor:
    return Tensor(cast_node(value.node, dtype), value.axes, value.left, value.right, value.entered)


def tensor_of(value: Value, dtype: str) -> Tensor:
    """Any value as a tensor of `dtype`."""
    return cast(value, dtype) if isinstance(value, Tensor) else scalar(value, dtype)


def floats(value: Value) -> Tensor:
    return tensor_of(value, "f32")
