"""Gradient rule of contractions: each operand's cotangent is again a contraction.

Takes: `y = contract(a, b)` and the cotangent g of y. Promises: the cotangent of a sums over b's own axes, that of
b over a's axes that are neither summed nor batch, ascending (this is the K order of the contract). Operand
order is free, a product has no order: it is chosen so that no permutation is needed where one choice has none.
With nothing to sum over, the cotangent is the plain product.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.build import broadcast, permute
from jobspec.ir.program import Node, make
from jobspec.passes.gradients.products import Cotangents, times

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Labelled:
    """A tensor with a label per axis; equal labels of two tensors are one index."""

    node: Node
    labels: tuple[str, ...]


def sized(x: Labelled) -> dict[str, int]:
    return dict(zip(x.labels, x.node.shape, strict=True))


def contract(y: Node, g: Node) -> Cotangents:
    a, b = labelled(y)
    labels = result_labels(y)
    toward = Labelled(g, labels)
    return product(toward, b, a.labels), product(a, toward, b.labels)


def labelled(y: Node) -> tuple[Labelled, Labelled]:
    """Both operands: a's axes are a0, a1, …; b's own are b0, b1, …, its others carry the label of a's axis."""
    a, b = y.args
    paired = dict(zip((*y["b_over"], *y["b_batch"]), (*y["a_over"], *y["a_batch"]), strict=True))
    right = tuple(f"a{paired[j]}" if j in paired else f"b{j}" for j in range(len(b.shape)))
    return Labelled(a, tuple(f"a{i}" for i in range(len(a.shape)))), Labelled(b, right)


def result_labels(y: Node) -> tuple[str, ...]:
    """The labels of the result's axes."""
    a, b = labelled(y)
    left = [label for i, label in enumerate(a.labels) if i not in y["a_over"]]
    return (*left, *(label for label in b.labels if label not in a.labels))


def product(a: Labelled, b: Labelled, target: tuple[str, ...]) -> Node:
    """Σ a·b over the labels that `target` lacks, in a's order; axes in the order of `target`."""
    over = [label for label in a.labels if label not in target]
    if not over:
        sizes = {**sized(a), **sized(b)}
        return times(spread(a, target, sizes), spread(b, target, sizes))
    forward, backward = joined(a, b, over), joined(b, a, over)
    chosen = backward if backward.labels == target != forward.labels else forward
    return permute(chosen.node, tuple(chosen.labels.index(label) for label in target))


def joined(a: Labelled, b: Labelled, over: list[str]) -> Labelled:
    """The contraction with a on the left; the labels that both have and that are not summed run along."""
    batch = [label for label in a.labels if label in b.labels and label not in over]
    places = {
        "a_over": positions(a, over),
        "b_over": positions(b, over),
        "a_batch": positions(a, batch),
        "b_batch": positions(b, batch),
    }
    node = make("contract", a.node, b.node, **places)
    kept = [label for label in a.labels if label not in over]
    return Labelled(node, (*kept, *(label for label in b.labels if label not in a.labels)))


def positions(x: Labelled, labels: list[str]) -> Ints:
    return tuple(x.labels.index(label) for label in labels)


def spread(x: Labelled, target: tuple[str, ...], sizes: dict[str, int]) -> Node:
    """x repeated along the labels of `target` that it lacks, axes in the order of `target`."""
    own = [label for label in target if label in x.labels]
    ordered = permute(x.node, tuple(x.labels.index(label) for label in own))
    return broadcast(ordered, tuple(sizes[label] for label in target), tuple(target.index(label) for label in own))
