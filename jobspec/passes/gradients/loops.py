"""Gradient of a loop: a loop that takes the turns the other way round, rolled like the first.

Takes: a loop, the cotangents of its results. Promises: the cotangent of an initial value is what the carried
cotangent has become after all backward turns; of a sliced operand, the stack of its slices' cotangents; of a shared
operand, the chain acc = acc + cotangent from +0.0 in the order of the backward turns. Only operands wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobspec.ir.build import zeros
from jobspec.ir.program import Node, make, order
from jobspec.ir.program import replace as substituted
from jobspec.ir.regions import Loop, body_input, fresh, get, parts
from jobspec.ir.types import Type
from jobspec.passes.gradients.products import Cotangents
from jobspec.passes.gradients.residuals import exchanged, saved
from jobspec.passes.gradients.sweep import Pull, Sweep, varying

Given = Mapping[int, Node]


@dataclass(frozen=True)
class WayBack:
    """Cotangents of the loop's operands, and the loop with what they read stacked as further results."""

    cotangents: Cotangents
    extended: Node


@dataclass
class Body:
    """Inputs of the backward body: cotangents of carried values (`d_state`) and of stacked results (`d_stacked`) by
    number of result, sums so far of shared operands' cotangents (`sums`) by number among the shared."""

    loop: Loop
    d_state: dict[int, Node] = field(default_factory=dict)
    d_stacked: dict[int, Node] = field(default_factory=dict)
    sums: dict[int, Node] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.names |= {node["name"] for node in (self.loop.turn, *self.loop.inputs)}

    def input(self, name: str, kind: Type) -> Node:
        """A new input whose name no other input of the body has."""
        new = fresh(name, self.names)
        self.names.add(new)
        return body_input(new, kind)

    @property
    def given(self) -> list[Node]:
        return [*self.d_state.values(), *self.d_stacked.values(), *self.sums.values()]


def backward(node: Node, given: Given, wanted: Sequence[bool], pull: Pull) -> WayBack:
    """`given`: cotangents by number of result; `wanted`: per operand."""
    loop = parts(node)
    visited = visited_nodes(loop, wanted)
    body = Body(loop)
    open_inputs(body, given, visited)
    roots = [(loop.results[i], d) for i, d in (*body.d_state.items(), *body.d_stacked.items())]
    aims = [x for i, x in enumerate(loop.inputs) if x in visited and (i >= len(loop.state) or i in body.d_state)]
    sweep = pull(roots, aims)
    return closed(node, given, body, sweep)


def visited_nodes(loop: Loop, wanted: Sequence[bool]) -> set[Node]:
    """Nodes of the body that some wanted operand reaches, in this turn or a later one."""
    inputs = {x for x, wish in zip(loop.inputs, wanted, strict=True) if wish}
    nodes = order(loop.results)
    while True:
        visited = varying(nodes, inputs)
        carried_on = {x for x, (_, out) in zip(loop.state, loop.step, strict=True) if out in visited}
        if carried_on <= inputs:
            return visited
        inputs |= carried_on


def open_inputs(body: Body, given: Given, visited: Collection[Node]) -> None:
    """Makes the inputs for cotangents that flow into the body."""
    loop, carried = body.loop, len(body.loop.state)
    for i in sorted(flowing(loop, given, visited)):
        body.d_state[i] = body.input(f"d.{loop.state[i]['name']}", loop.state[i].type)
    for i in sorted(given):
        if i >= carried and loop.results[i] in visited:
            body.d_stacked[i] = body.input(f"d.{loop.stacked[i - carried][0]}", loop.results[i].type)


def flowing(loop: Loop, given: Given, visited: Collection[Node]) -> set[int]:
    """Numbers of the carried values that have a cotangent, from the result or from a turn nearer to it."""
    ends = set(given)
    while True:
        reached = downward([loop.results[i] for i in sorted(ends)], visited)
        more = {i for i, x in enumerate(loop.state) if x in reached} - ends
        if not more:
            return {i for i in ends if i < len(loop.state) and loop.state[i] in visited}
        ends |= more


def downward(roots: Sequence[Node], visited: Collection[Node]) -> set[Node]:
    """Nodes of `visited` that a cotangent at `roots` gets to."""
    found: set[Node] = set()
    stack = [node for node in roots if node in visited]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += [a for a in node.args if a in visited]
    return found


def closed(node: Node, given: Given, body: Body, sweep: Sweep) -> WayBack:
    """Both loops, from what the sweep of the body found."""
    loop, found = body.loop, sweep.cotangents
    step = [found.get(loop.state[i], zeros(d.type)) for i, d in body.d_state.items()]
    shared = [i for i, x in enumerate(loop.common) if x in found]
    cuts = [i for i, x in enumerate(loop.cuts) if x in found]
    for i in shared:
        body.sums[i] = body.input(f"sum.{loop.common[i]['name']}", loop.common[i].type)
    step += [make("add", body.sums[i], found[loop.common[i]]) for i in shared]
    results = exchanged([*loop.results, *step, *(found[loop.cuts[i]] for i in cuts)], sweep.extended)
    there, back = results[: len(loop.results)], results[len(loop.results) :]
    forward = with_results(loop, there)
    residuals = saved(forward, back, body.given)
    extended, numbers = stacking(forward, residuals, body)
    forth = extended.node()
    if not back:
        return WayBack((None,) * len(loop.operands), forth)
    stacks = [get(forth, i) for i in numbers]
    around = turned(body, given, residuals, stacks, back).node()
    return WayBack(by_operand(loop, around, list(body.d_state), cuts, shared), forth)


def with_results(loop: Loop, results: Sequence[Node]) -> Loop:
    """The loop with other nodes for its body's outputs."""
    named = [(name, x) for (name, _), x in zip((*loop.step, *loop.stacked), results, strict=True)]
    carried = len(loop.step)
    return replace(loop, step=tuple(named[:carried]), stacked=tuple(named[carried:]))


def stacking(loop: Loop, nodes: Sequence[Node], body: Body) -> tuple[Loop, list[int]]:
    """The loop that stacks `nodes` as well, and the number of the result that each one is."""
    stacked, carried, numbers = list(loop.stacked), len(loop.step), []
    for node in nodes:
        at = next((i for i, (_, x) in enumerate(stacked) if x is node), len(stacked))
        if at == len(stacked):
            taken = [name for name, _ in (*loop.step, *stacked)]
            stacked.append((fresh(f"saved{at}", taken), node))
        numbers.append(carried + at)
    return replace(loop, stacked=tuple(stacked)), numbers


def turned(body: Body, given: Given, residuals: Sequence[Node], stacks: Sequence[Node], back: Sequence[Node]) -> Loop:
    """The backward loop; the forward body's slices and shared inputs come along where they are read."""
    loop = body.loop
    reads = {x: body.input(f"at.{i}", x.type) for i, x in enumerate(residuals)}
    back = substituted(back, reads)
    present = set(order(back))
    cuts = [i for i, x in enumerate(loop.cuts) if x in present]
    common = [i for i, x in enumerate(loop.common) if x in present]
    carried = [*body.d_state.values(), *body.sums.values()]
    starts = [given.get(i, zeros(d.type)) for i, d in body.d_state.items()]
    return Loop(
        count=loop.count, reverse=not loop.reverse, turn=loop.turn,
        inits=(*starts, *(zeros(x.type) for x in body.sums.values())), state=tuple(carried),
        sliced=(*(given[i] for i in body.d_stacked), *stacks, *(loop.sliced[i] for i in cuts)),
        cuts=(*body.d_stacked.values(), *reads.values(), *(loop.cuts[i] for i in cuts)),
        shared=tuple(loop.shared[i] for i in common), common=tuple(loop.common[i] for i in common),
        step=tuple((f"next.{i}", x) for i, x in enumerate(back[: len(carried)])),
        stacked=tuple((f"stack.{i}", x) for i, x in enumerate(back[len(carried) :])),
    )  # fmt: skip


def by_operand(loop: Loop, back: Node, active: list[int], cuts: list[int], shared: list[int]) -> Cotangents:
    """The backward loop's results, at the operand each is the cotangent of."""
    first_cut, first_shared = len(loop.inits), len(loop.inits) + len(loop.sliced)
    order_of_results = [*active, *(first_shared + i for i in shared), *(first_cut + i for i in cuts)]
    table: list[Node | None] = [None] * len(loop.operands)
    for number, operand in enumerate(order_of_results):
        table[operand] = get(back, number)
    return tuple(table)
