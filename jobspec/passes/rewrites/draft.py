"""A loop under rewriting: its pieces as records that know which results they make.

Takes: a loop and the numbers of its results that somebody reads. Promises: `finished` gives for every such number the
node that stands in its place, so rules may drop, merge and move pieces without counting positions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from jobspec.ir.program import Node, order
from jobspec.ir.program import replace as exchange
from jobspec.ir.regions import Loop, fresh, get, parts


@dataclass(frozen=True)
class Carried:
    """`number`: of the result it ends in."""

    number: int
    name: str
    init: Node
    state: Node
    step: Node


@dataclass(frozen=True)
class Stacked:
    """`numbers`: of the results it is."""

    numbers: tuple[int, ...]
    name: str
    node: Node


@dataclass(frozen=True)
class Operand:
    """`inside`: the body input that stands for `outside` or its slices."""

    outside: Node
    inside: Node


@dataclass(frozen=True)
class Draft:
    """`read`: result numbers that have readers; `settled`: those that are known without the loop."""

    loop: Loop
    read: frozenset[int]
    carried: tuple[Carried, ...]
    stacked: tuple[Stacked, ...]
    cuts: tuple[Operand, ...]
    common: tuple[Operand, ...]
    settled: Mapping[int, Node] = field(default_factory=dict)

    @property
    def results(self) -> list[Node]:
        return [*(c.step for c in self.carried), *(s.node for s in self.stacked)]

    @property
    def body(self) -> list[Node]:
        """Nodes of the body, operands first."""
        return order(self.results)

    def with_inside(self, mapping: Mapping[Node, Node]) -> Draft:
        """The body with some nodes exchanged."""
        found = exchange(self.results, mapping)
        carried = tuple(replace(c, step=x) for c, x in zip(self.carried, found, strict=False))
        stacked = tuple(replace(s, node=x) for s, x in zip(self.stacked, found[len(carried) :], strict=True))
        return replace(self, carried=carried, stacked=stacked)

    def with_settled(self, more: Mapping[int, Node]) -> Draft:
        return replace(self, settled={**self.settled, **more})

    def new_name(self, name: str) -> str:
        """A name that no input of the body has."""
        inputs = [self.loop.turn, *(c.state for c in self.carried), *(o.inside for o in (*self.cuts, *self.common))]
        return fresh(name, (node["name"] for node in inputs))


def drafted(node: Node, read: Collection[int]) -> Draft:
    loop = parts(node)
    count = len(loop.inits)
    rows = zip(range(count), loop.step, loop.inits, loop.state, strict=True)
    return Draft(
        loop=loop, read=frozenset(read),
        carried=tuple(Carried(i, name, init, state, step) for i, (name, step), init, state in rows),
        stacked=tuple(Stacked((count + i,), name, x) for i, (name, x) in enumerate(loop.stacked)),
        cuts=tuple(map(Operand, loop.sliced, loop.cuts)), common=tuple(map(Operand, loop.shared, loop.common)),
    )  # fmt: skip


def finished(draft: Draft) -> dict[int, Node]:
    """For each result number that is read, the node for it."""
    table = dict(draft.settled)
    if not draft.results:
        return table
    node = assembled(draft).node()
    for place, c in enumerate(draft.carried):
        table[c.number] = get(node, place)
    for place, s in enumerate(draft.stacked, len(draft.carried)):
        table |= {number: get(node, place) for number in s.numbers}
    return table


def assembled(draft: Draft) -> Loop:
    return Loop(
        count=draft.loop.count, reverse=draft.loop.reverse, turn=draft.loop.turn,
        inits=tuple(c.init for c in draft.carried), state=tuple(c.state for c in draft.carried),
        step=tuple((c.name, c.step) for c in draft.carried),
        sliced=outsides(draft.cuts), cuts=insides(draft.cuts), shared=outsides(draft.common),
        common=insides(draft.common), stacked=tuple((s.name, s.node) for s in draft.stacked),
    )  # fmt: skip


def outsides(operands: Iterable[Operand]) -> tuple[Node, ...]:
    return tuple(o.outside for o in operands)


def insides(operands: Iterable[Operand]) -> tuple[Node, ...]:
    return tuple(o.inside for o in operands)
