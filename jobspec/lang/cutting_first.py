"""Totals over the batch that the pieces need before they begin: the number of masked places, the load of each expert.

Takes: outputs of a step, and where cutting them stopped (Early). Promises: outputs that read such a total as an input,
so that they can be cut; then the outputs with the totals in, each computed over the pieces in a pass of its own. A
total that a loop's body makes is computed for all turns by a loop of its own. No gradient goes through any of them, so
the objective and its gradient stay those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from jobspec.ir.program import Node, make, order
from jobspec.ir.program import replace as exchanged
from jobspec.ir.regions import Loop, body_input, fresh, get, parts
from jobspec.ir.types import Type
from jobspec.lang.cutting import Early, Mixed

Cut = Callable[[list[Node]], list[Node]]


def moved_by(roots: Iterable[Node], sources: Iterable[Node]) -> set[Node]:
    """Nodes through which a gradient by one of `sources` goes: not whole numbers and conditions, not `stop`."""
    found = set(sources)
    for node in order(roots):
        broken = node.op in ("stop", "gradient") or (isinstance(node.result, Type) and node.dtype != "f32")
        if not broken and any(a in found for a in node.args):
            found.add(node)
    return found


@dataclass
class First:
    """`wanted`: what stands in the outputs for a total → the total, which may read earlier ones."""

    wanted: dict[Node, Node] = field(default_factory=dict)

    def taken_out(self, roots: Sequence[Node], early: Early) -> list[Node]:
        """The outputs with the total as an input, or one loop nearer to that."""
        if early.loops:
            return from_loop(roots, early.loops, early.node)
        known = body_input(f"first.{len(self.wanted)}", early.node.type)
        self.wanted[known] = early.node
        return exchanged(roots, {early.node: known})

    def put_back(self, values: list[Node], cut: Cut) -> list[Node]:
        """The outputs, cut, with the totals in. Those that do not read each other share a pass."""
        known: dict[Node, Node] = {}
        waiting = dict(self.wanted)
        while waiting:
            ready = [x for x, total in waiting.items() if not any(n in waiting for n in order([total]))]
            totals = exchanged(cut([waiting.pop(x) for x in ready]), known)
            known |= zip(ready, totals, strict=True)
        return exchanged(values, known)


def from_loop(roots: Sequence[Node], loops: Sequence[Node], wanted: Node) -> list[Node]:
    """`roots` in which the innermost of `loops` has `wanted`, a value of its body, from outside."""
    node, *inner = loops
    old = parts(node)
    new = given_each_turn(old, wanted) if not inner else with_results(old, from_loop(old.results, inner, wanted))
    made = new.node()
    return exchanged(roots, {get(node, i): get(made, i) for i in range(len(old.results))})


def given_each_turn(loop: Loop, wanted: Node) -> Loop:
    """The loop with `wanted` sliced from what a loop of its own makes of it in all turns."""
    turns = alone(loop, wanted)
    every = make("stop", get(turns.node(), len(turns.state)))
    inside = body_input(fresh("first", (x["name"] for x in (loop.turn, *loop.inputs))), wanted.type)
    new = with_results(loop, exchanged(loop.results, {wanted: inside}))
    return replace(new, sliced=(*loop.sliced, every), cuts=(*loop.cuts, inside))


def with_results(loop: Loop, results: Sequence[Node]) -> Loop:
    names = [name for name, _ in (*loop.step, *loop.stacked)]
    outputs = tuple(zip(names, results, strict=True))
    return replace(loop, step=outputs[: len(loop.step)], stacked=outputs[len(loop.step) :])


def alone(loop: Loop, wanted: Node) -> Loop:
    """Of the loop what `wanted` needs, which is stacked. Raises Mixed where a turn needs that of the turn before."""
    kept: list[int] = []
    while True:
        below = set(order([wanted, *(loop.step[i][1] for i in kept)]))
        more = [i for i, x in enumerate(loop.state) if x in below and i not in kept]
        if not more:
            break
        kept = sorted([*kept, *more])
        if wanted in order(loop.step[i][1] for i in kept):
            raise Mixed(wanted)
    cuts = [(x, o) for x, o in zip(loop.cuts, loop.sliced, strict=True) if x in below]
    common = [(x, o) for x, o in zip(loop.common, loop.shared, strict=True) if x in below]
    return replace(
        loop,
        inits=tuple(loop.inits[i] for i in kept), state=tuple(loop.state[i] for i in kept),
        step=tuple(loop.step[i] for i in kept), stacked=(("first", wanted),),
        sliced=tuple(o for _, o in cuts), cuts=tuple(x for x, _ in cuts),
        shared=tuple(o for _, o in common), common=tuple(x for x, _ in common),
    )  # fmt: skip
