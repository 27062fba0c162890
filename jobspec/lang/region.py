"""Where nodes live: the program itself, or the body of a `repeat` or `scan`.

Takes: tensors of the enclosing region as they are mentioned. Promises: a body that reaches nothing but its own inputs
and constants; what has the loop's axis comes in turn by turn (sliced), everything else whole (shared). Names of body
inputs are positions, never words of the text, so renaming a variable changes no hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jobspec.ir.program import Node, Program, make
from jobspec.lang.alignment import reorder
from jobspec.lang.refusal import need
from jobspec.lang.values import Tensor


@dataclass(eq=False)
class Region:
    """`assigned`: state slot → its new value, collected until the region closes. The outermost has no parent."""

    parent: Region | None = None
    assigned: dict[str, Tensor] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    def stacks(self) -> tuple[tuple[str, int], ...]:
        """Axis and size of each `repeat` around, outermost first: parameters declared here are stacked along them."""
        return () if self.parent is None else self.parent.stacks()

    def in_scan(self) -> bool:
        return self.parent is not None and self.parent.in_scan()

    def bring(self, t: Tensor) -> Tensor:
        """A tensor of the parent, as this region sees it."""
        raise AssertionError("the outermost region has no parent to bring from")

    def bring_parameter(self, t: Tensor) -> Tensor:
        """`t` is a parameter or state with all its stacks, at the outermost region."""
        return t

    def turn(self) -> Node | None:
        """Which turn of all `repeat` and `scan` loops around this is, flattened; None outside of any."""
        return None

    def reach(self, t: Tensor, home: Region) -> Tensor:
        """`t`, which lives in `home` (this region or one around it), as this region sees it."""
        if home is self:
            return t
        assert self.parent is not None
        return self.bring(self.parent.reach(t, home))


@dataclass(eq=False)
class Loop(Region):
    """The body of `repeat L` (`stacking`: parameters in it are stacked) or of `scan T`."""

    axis: str = ""
    size: int = 0
    stacking: bool = True
    carried: list[tuple[Node, Node]] = field(default_factory=list)
    sliced: dict[Node, Node] = field(default_factory=dict)
    shared: dict[Node, Node] = field(default_factory=dict)

    def stacks(self) -> tuple[tuple[str, int], ...]:
        return (*super().stacks(), (self.axis, self.size)) if self.stacking else super().stacks()

    def in_scan(self) -> bool:
        return not self.stacking or super().in_scan()

    def input(self, kind: str, number: int, dtype: str, shape: tuple[int, ...]) -> Node:
        return make("input", name=f"{kind}{self.depth}.{number}", dtype=dtype, shape=shape)

    def carry(self, t: Tensor) -> Tensor:
        """A value that turns hand on, starting as `t` (a tensor of the parent)."""
        node = self.input("carried", len(self.carried), t.dtype, t.node.shape)
        self.carried.append((t.node, node))
        return Tensor(node, t.axes, t.left, t.right, t.entered)

    def bring(self, t: Tensor) -> Tensor:
        return self.slice(t) if self.axis in t.axes else self.share(t)

    def bring_parameter(self, t: Tensor) -> Tensor:
        assert self.parent is not None
        outside = self.parent.bring_parameter(t)
        return self.slice(outside) if self.stacking else self.bring(outside)

    def share(self, t: Tensor) -> Tensor:
        node = self.shared.get(t.node)
        if node is None:
            node = self.shared[t.node] = self.input("shared", len(self.shared), t.dtype, t.node.shape)
        return Tensor(node, t.axes, t.left, t.right, t.entered)

    def slice(self, t: Tensor) -> Tensor:
        """`t` without the loop's axis: what it is at this turn. Refuses an axis of another length."""
        axis, size = self.axis, t.size(self.axis)
        need(
            size == self.size,
            "E0211",
            f"{axis} has {size} places here, and the loop along it makes {self.size} turns",
            f"{f'take `[{axis}: ..{self.size}]`' if size > self.size else f'`pad[{axis}](…)` it'} before the loop",
        )
        place = t.axes.index(axis)
        rest = (*t.axes[:place], *t.axes[place + 1 :])
        outer = t.node if place == 0 else reorder(t, (self.axis, *rest))
        node = self.sliced.get(outer)
        if node is None:
            node = self.sliced[outer] = self.input("sliced", len(self.sliced), outer.dtype, outer.shape[1:])
        left, right = self.arrow_without(t, place)
        return Tensor(node, rest, left, right, {a: e for a, e in t.entered.items() if a != self.axis})

    def arrow_without(self, t: Tensor, place: int) -> tuple[int, int]:
        start = len(t.stacked)
        if not t.is_map or place < start:
            return t.left, t.right
        left, right = (t.left - 1, t.right) if place < start + t.left else (t.left, t.right - 1)
        return (left, right) if left and right else (0, 0)

    def turn_input(self) -> Node:
        return make("input", name=f"turn{self.depth}", dtype="i32", shape=())

    def turn(self) -> Node:
        """outer turn * size + own turn (i32)."""
        own = self.turn_input()
        outside = self.parent.turn() if self.parent else None
        if outside is None:
            return own
        count = make("const", dtype="i32", shape=(), bits=(self.size,))
        return make("add", make("mul", self.share(Tensor(outside, ())).node, count), own)

    def close(self, carried: list[Node], stacked: list[Node]) -> list[Node]:
        """The loop in the parent region: final values of what is carried, then stacks of one value per turn.

        `carried`: the new value of each carried one; `stacked`: values of one turn each.
        """
        inputs = (
            self.turn_input(),
            *(inside for _, inside in self.carried),
            *self.sliced.values(),
            *self.shared.values(),
        )
        named = [(f"carried.{i}", node) for i, node in enumerate(carried)]
        named += [(f"stacked.{i}", node) for i, node in enumerate(stacked)]
        operands = [*(outside for outside, _ in self.carried), *self.sliced, *self.shared]
        loop = make(
            "loop",
            *operands,
            count=self.size,
            carried=len(self.carried),
            sliced=len(self.sliced),
            reverse=False,
            body=Program(inputs, tuple(named)),
        )
        return [make("get", loop, index=i) for i in range(len(named))]
