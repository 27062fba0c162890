"""Rewrites of loops: what nobody reads goes, what does not change from turn to turn is taken out.

Takes: a draft of a loop. Promises: every result number that is read keeps its value, bit for bit; rules return the
draft itself where they have nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from jobspec.ir.build import fill_bits, reshape
from jobspec.ir.program import Node, make, order
from jobspec.ir.program import replace as exchange
from jobspec.ir.regions import body_input
from jobspec.ir.types import Type
from jobspec.passes.cost import expensive
from jobspec.passes.rewrites.draft import Draft, Operand, Stacked
from jobspec.passes.rewrites.patterns import filled

LoopRule = Callable[[Draft], Draft]


def rule_unread_results(draft: Draft) -> Draft:
    """Stacked values nobody reads, and carried ones that nothing read depends on."""
    stacked = tuple(s for s in draft.stacked if draft.read.intersection(s.numbers))
    needed = [s.node for s in stacked]
    kept = [c for c in draft.carried if c.number in draft.read]
    while True:
        reached = set(order([*needed, *(c.step for c in kept)]))
        more = [c for c in draft.carried if c.state in reached and c not in kept]
        if not more:
            break
        kept += more
    carried = tuple(c for c in draft.carried if c in kept)
    unchanged = carried == draft.carried and stacked == draft.stacked
    return draft if unchanged else replace(draft, carried=carried, stacked=stacked)


def rule_carried_unchanged(draft: Draft) -> Draft:
    """A carried value that no turn changes is shared."""
    still = [c for c in draft.carried if c.step is c.state]
    if not still:
        return draft
    common = (*draft.common, *(Operand(c.init, c.state) for c in still))
    carried = tuple(c for c in draft.carried if c not in still)
    return replace(draft, carried=carried, common=common).with_settled({c.number: c.init for c in still})


def rule_unused_operands(draft: Draft) -> Draft:
    body = set(draft.body)
    cuts, common = (tuple(o for o in operands if o.inside in body) for operands in (draft.cuts, draft.common))
    if len(cuts) == len(draft.cuts) and len(common) == len(draft.common):
        return draft
    return replace(draft, cuts=cuts, common=common)


def rule_repeated_operands(draft: Draft) -> Draft:
    """One input where two stand for the same operand."""
    mapping: dict[Node, Node] = {}
    kept: list[tuple[Operand, ...]] = []
    for operands in (draft.cuts, draft.common):
        first: dict[Node, Operand] = {}
        for o in operands:
            if first.setdefault(o.outside, o) is not o:
                mapping[o.inside] = first[o.outside].inside
        kept.append(tuple(first.values()))
    if not mapping:
        return draft
    return replace(draft, cuts=kept[0], common=kept[1]).with_inside(mapping)


def rule_constant_operands(draft: Draft) -> Draft:
    """A constant is as well inside the body."""
    constant = [o for o in (*draft.cuts, *draft.common) if fill_bits(o.outside) is not None]
    if not constant:
        return draft
    return draft.with_inside({o.inside: filled(o.inside.type, o.outside["bits"][0]) for o in constant})


def rule_repeated_slices(draft: Draft) -> Draft:
    """A sliced operand with equal slices is shared."""
    repeated = [o for o in draft.cuts if o.outside.op == "broadcast" and 0 not in o.outside["axes"]]
    if not repeated:
        return draft
    common = tuple(Operand(one_slice(o.outside), o.inside) for o in repeated)
    return replace(draft, cuts=tuple(o for o in draft.cuts if o not in repeated), common=(*draft.common, *common))


def one_slice(repeated: Node) -> Node:
    axes = tuple(axis - 1 for axis in repeated["axes"])
    return make("broadcast", repeated.args[0], shape=repeated.shape[1:], axes=axes)


def rule_stacked_twice(draft: Draft) -> Draft:
    """One stack where two are of the same value."""
    first: dict[Node, Stacked] = {}
    for s in draft.stacked:
        seen = first.get(s.node)
        first[s.node] = replace(seen, numbers=(*seen.numbers, *s.numbers)) if seen else s
    return draft if len(first) == len(draft.stacked) else replace(draft, stacked=tuple(first.values()))


def rule_stacked_known(draft: Draft) -> Draft:
    """A stack of a slice is the sliced operand; of what no turn changes, a repeated value; of the turn, a count."""
    known = {s: stack for s in draft.stacked if (stack := known_stack(draft, s.node)) is not None}
    if not known:
        return draft
    settled = {number: stack for s, stack in known.items() for number in s.numbers}
    return replace(draft, stacked=tuple(s for s in draft.stacked if s not in known)).with_settled(settled)


def known_stack(draft: Draft, node: Node) -> Node | None:
    """The stack of `node` over all turns, where it takes no loop to make it."""
    count = draft.loop.count
    sliced = next((o.outside for o in draft.cuts if o.inside is node), None)
    shared = next((o.outside for o in draft.common if o.inside is node), None)
    bits = fill_bits(node)
    if bits is not None:
        return filled(Type(node.dtype, (count, *node.shape)), bits)
    if shared is not None:
        axes = tuple(range(1, len(node.shape) + 1))
        return make("broadcast", shared, shape=(count, *node.shape), axes=axes)
    return make("iota", size=count) if node is draft.loop.turn else sliced


def rule_hoisted(draft: Draft) -> Draft:
    """What is expensive and the same in every turn is computed before the loop."""
    outside = {o.inside: o.outside for o in draft.common}
    changing = {draft.loop.turn, *(c.state for c in draft.carried), *(o.inside for o in draft.cuts)}
    for node in draft.body:
        if any(a in changing for a in node.args):
            changing.add(node)
    frontier = invariant(draft.results, changing)
    for node in frontier:
        inside = body_input(draft.new_name("hoisted"), node.type)
        (moved,) = exchange([node], outside)
        draft = replace(draft, common=(*draft.common, Operand(moved, inside))).with_inside({node: inside})
    return draft


def invariant(roots: Iterable[Node], changing: set[Node]) -> list[Node]:
    """The topmost expensive nodes that are not `changing`, in the order they are met."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(reversed(list(roots)))
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if expensive(node) and node not in changing:
            found[node] = None
        else:
            stack += reversed(node.args)
    return list(found)


def rule_single_turn(draft: Draft) -> Draft:
    """A loop of one turn is its body."""
    if draft.loop.count != 1 or not draft.results:
        return draft
    mapping = {draft.loop.turn: filled(Type("i32"), 0)}
    mapping |= {c.state: c.init for c in draft.carried} | {o.inside: o.outside for o in draft.common}
    mapping |= {o.inside: reshape(o.outside, o.inside.shape) for o in draft.cuts}
    values = exchange(draft.results, mapping)
    settled = {c.number: x for c, x in zip(draft.carried, values, strict=False)}
    for s, x in zip(draft.stacked, values[len(draft.carried) :], strict=True):
        settled |= {number: reshape(x, (1, *x.shape)) for number in s.numbers}
    return replace(draft, carried=(), stacked=()).with_settled(settled)


LOOP_RULES: tuple[LoopRule, ...] = (
    rule_single_turn,
    rule_unread_results,
    rule_carried_unchanged,
    rule_stacked_known,
    rule_stacked_twice,
    rule_constant_operands,
    rule_repeated_slices,
    rule_repeated_operands,
    rule_hoisted,
    rule_unused_operands,
)
