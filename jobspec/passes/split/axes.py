"""Which axis of its operands an axis of a result comes from, and an operation on parts of its operands.

Takes: a node. Promises: `sources(node)[i]` says for axes of the result which axis of operand i has the same places. A
part of the result along such axes is the same operation (`on_part`) on the same part of the operands, with the bits
that it has in the whole: no fold is over an axis of the result (docs/numerics.md, 1.2).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod

from jobspec.ir.ops import OPS
from jobspec.ir.program import Node, make
from jobspec.passes.split.boxes import Box, Span, shape_of

#: axis of the result → axis of the operand
Sources = dict[int, int]


@lru_cache(maxsize=1 << 16)
def sources(node: Node) -> tuple[Sources, ...]:
    """One table per operand; empty where an operation is not in the table."""
    if OPS[node.op].has("elementwise"):
        return tuple({d: d for d in range(len(node.shape))} for _ in node.args)
    rule = TABLE.get(node.op)
    return rule(node) if rule else tuple({} for _ in node.args)


def of_permute(node: Node) -> tuple[Sources, ...]:
    return (dict(enumerate(node["axes"])),)


def of_broadcast(node: Node) -> tuple[Sources, ...]:
    return ({d: i for i, d in enumerate(node["axes"])},)


def of_reshape(node: Node) -> tuple[Sources, ...]:
    """Axes with as many elements before them, and behind and in them; the sizes may differ."""
    x, shape = node.args[0].shape, node["shape"]
    before = {prod(x[:j]): j for j in reversed(range(len(x))) if x[j] > 1}
    found = {i: before[prod(shape[:i])] for i in range(len(shape)) if shape[i] > 1 and prod(shape[:i]) in before}
    return (found,)


def of_slice(node: Node) -> tuple[Sources, ...]:
    parts = zip(node["start"], node["stop"], node["step"], node.args[0].shape, strict=True)
    return ({d: d for d, (a, b, s, n) in enumerate(parts) if (a, b, s) == (0, n, 1)},)


def of_flip(node: Node) -> tuple[Sources, ...]:
    return ({d: d for d in range(len(node.shape)) if d not in node["axes"]},)


def of_window(node: Node) -> tuple[Sources, ...]:
    """Axes that no window goes over; those of the windows stand behind the last one of them."""
    axes, more = node["axes"], len(node["axes"])
    kept = [d for d in range(len(node.args[0].shape)) if d not in axes]
    return ({(d if d < axes[-1] else d + more): d for d in kept},)


def of_pad(node: Node) -> tuple[Sources, ...]:
    amounts = zip(node["low"], node["high"], node["inner"], strict=True)
    return ({d: d for d, amount in enumerate(amounts) if not any(amount)},)


def of_concat(node: Node) -> tuple[Sources, ...]:
    return tuple({d: d for d in range(len(node.shape)) if d != node["axis"]} for _ in node.args)


def of_gather(node: Node) -> tuple[Sources, ...]:
    """x[b…, A, r…], index[b…, i…] → [b…, i…, r…]"""
    (x, index), shared = node.args, node["batch"]
    picked = {d: d for d in range(shared)}
    picked |= {len(index.shape) + r: shared + 1 + r for r in range(len(x.shape) - shared - 1)}
    return picked, {d: d for d in range(len(index.shape))}


def of_scatter_add(node: Node) -> tuple[Sources, ...]:
    """x[b…, i…, r…], index[b…, i…] → [b…, size, r…]"""
    (x, index), shared = node.args, node["batch"]
    same = {d: d for d in range(shared)}
    rest = {shared + 1 + r: len(index.shape) + r for r in range(len(x.shape) - len(index.shape))}
    return same | rest, same


def of_contract(node: Node) -> tuple[Sources, ...]:
    """a's axes that are not summed, in a's order, then b's own"""
    a, b = node.args
    kept = [i for i in range(len(a.shape)) if i not in node["a_over"]]
    own = [j for j in range(len(b.shape)) if j not in node["b_over"] and j not in node["b_batch"]]
    shared = dict(zip(node["a_batch"], node["b_batch"], strict=True))
    of_b = {d: shared[i] for d, i in enumerate(kept) if i in shared}
    return dict(enumerate(kept)), of_b | {len(kept) + d: j for d, j in enumerate(own)}


def of_fold(node: Node) -> tuple[Sources, ...]:
    """sum, reduce_max, argmax: the axes that stay"""
    return (dict(enumerate(i for i in range(len(node.args[0].shape)) if i not in node["axes"])),)


def of_experts(node: Node) -> tuple[Sources, ...]:
    """x[l…, K], w[E, K, F], index[l…, q…] → [l…, q…, F]"""
    x, _, index = node.args
    return (
        {d: d for d in range(len(x.shape) - 1)},
        {len(index.shape): 2},
        {d: d for d in range(len(index.shape))},
    )


def of_expert_sums(node: Node) -> tuple[Sources, ...]:
    """x[l…, K], g[l…, q…, F], index[l…, q…] → [size, K, F]"""
    x, g, _ = node.args
    return {1: len(x.shape) - 1}, {2: len(g.shape) - 1}, {}


TABLE: dict[str, Callable[[Node], tuple[Sources, ...]]] = {
    "permute": of_permute, "broadcast": of_broadcast, "reshape": of_reshape, "slice": of_slice, "flip": of_flip,
    "window": of_window, "pad": of_pad, "concat": of_concat, "gather": of_gather, "scatter_add": of_scatter_add,
    "contract": of_contract, "sum": of_fold, "reduce_max": of_fold, "argmax": of_fold,
    "experts": of_experts, "expert_sums": of_expert_sums,
}  # fmt: skip


def place_in(node: Node, operand: int, axis: int) -> int | None:
    """Which axis of the result is `axis` of an operand."""
    return next((d for d, source in sources(node)[operand].items() if source == axis), None)


def span_in(node: Node, operand: int, axis: int, span: Span) -> Span | None:
    """The operand's places behind `span` of the result's `axis`; None where they are no whole number."""
    source = sources(node)[operand][axis]
    n, m = node.shape[axis], node.args[operand].shape[source]
    first, last = span[0] * m, span[1] * m
    return None if first % n or last % n else (first // n, last // n)


def span_out(node: Node, operand: int, axis: int, span: Span) -> Span | None:
    """The other way round: the result's places behind `span` of its `axis`, which is one of the operand's."""
    source = sources(node)[operand][axis]
    n, m = node.shape[axis], node.args[operand].shape[source]
    first, last = span[0] * n, span[1] * n
    return None if first % m or last % m else (first // m, last // m)


def on_part(node: Node, box: Box, args: tuple[Node, ...]) -> Node:
    """The part `box` of `node`, from the same part of its operands."""
    attrs, shape = dict(node.attrs), shape_of(box)
    if node.op in ("reshape", "broadcast"):
        attrs["shape"] = shape
    if node.op == "slice":
        full = [span == (0, n) for span, n in zip(box, node.shape, strict=True)]
        attrs["stop"] = tuple(b if f else x for b, f, x in zip(node["stop"], full, args[0].shape, strict=True))
    return make(node.op, *args, **attrs)
