"""First values of parameters and states.

Takes: the expression behind `~` or `=`, and what it is for. Promises: a closed node of the init program. A drawn value
is indexed by the element within one layer and by the layer, so that growing a `repeat` keeps the earlier layers; the
draw is named by the parameter's path, so that no other parameter moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobspec.ir.program import Node, make, order
from jobspec.lang import arithmetic, draws, tree
from jobspec.lang.alignment import widen
from jobspec.lang.arguments import bind, missing
from jobspec.lang.diagnostics import did_you_mean
from jobspec.lang.dispatch import evaluate
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import need
from jobspec.lang.things import need_number, need_value
from jobspec.lang.values import Axes, Tensor, floats, number_node


@dataclass(frozen=True)
class Wanted:
    """`path` of the name; `axes`, `shape`: of one layer; `stacks`: sizes of the `repeat`s around."""

    path: tuple[str, ...]
    axes: Axes
    shape: tuple[int, ...]
    stacks: tuple[int, ...]

    @property
    def whole(self) -> tuple[int, ...]:
        return (*self.stacks, *self.shape)


def written(frame: Frame, expression: tree.Expr, wanted: Wanted) -> Node:
    """`= 0`, or any expression that needs no input."""
    value = floats(need_value(evaluate(frame, expression)))
    if any(node.op == "input" for node in order([value.node])):
        message = "a first value is known before training: it can use no parameter, batch or step"
        raise Located("E0250", message, expression.span, help=random_hint(expression))
    check_axes(value, wanted)
    one = widen(value, wanted.axes, dict(zip(wanted.axes, wanted.shape, strict=True))) if wanted.shape else value
    if not wanted.stacks:
        return one.node
    places = tuple(range(len(wanted.stacks), len(wanted.whole)))
    return make("broadcast", one.node, shape=wanted.whole, axes=places)


def random_hint(expression: tree.Expr) -> str | None:
    name = expression.function if isinstance(expression, tree.Call) else None
    return "random first values follow `~`: `~ normal(.02)`" if getattr(name, "id", "") in DISTRIBUTIONS else None


def check_axes(value: Tensor, wanted: Wanted) -> None:
    sizes = dict(zip(wanted.axes, wanted.shape, strict=True))
    for axis, size in zip(value.axes, value.node.shape, strict=True):
        need(
            sizes.get(axis) == size,
            "E0213",
            f"the first value has {axis} {size}, which `{'.'.join(wanted.path)}` has not",
        )


def drawn(frame: Frame, expression: tree.Expr, wanted: Wanted) -> Node:
    """`~ normal(s)` or `~ uniform(a)`."""
    name, given = distribution(frame, expression)
    parameter, make_draw = DISTRIBUTIONS[name]
    if parameter not in given:
        raise missing(name, parameter)
    scale = need_number(given[parameter])
    key = draws.key_words(frame.work.seed, wanted.path)
    return make_draw(key, counter(wanted), float(arithmetic.number(scale)), wanted.whole)


def distribution(frame: Frame, expression: tree.Expr) -> tuple[str, dict[str, Any]]:
    if not isinstance(expression, tree.Call) or not isinstance(expression.function, tree.Name):
        help = "as in `~ normal(.02)` or `~ uniform(.1)`"
        raise Located("E0249", "`~` is followed by a distribution", expression.span, help=help)
    name = expression.function.id
    if name not in DISTRIBUTIONS:
        raise Located(
            "E0249",
            f"`{name}` is no distribution of first values",
            expression.span,
            help=did_you_mean(name, DISTRIBUTIONS) or "`normal(s)` or `uniform(a)`",
        )
    values = [evaluate(frame, a) for a in expression.arguments]
    named = {k.name.text: evaluate(frame, k.value) for k in expression.keywords}
    return name, bind(name, [DISTRIBUTIONS[name][0]], values, named)


def counter(wanted: Wanted) -> draws.Counter:
    """Element within one layer, layer, step 0, stream 0."""
    whole, depth = wanted.whole, len(wanted.stacks)
    return draws.Counter(
        spread(draws.indices(wanted.shape), whole, range(depth, len(whole))),
        spread(draws.indices(wanted.stacks), whole, range(depth)) if depth else draws.word(0, whole),
        draws.word(0, whole),
        draws.word(0, whole),
    )


def spread(node: Node, shape: tuple[int, ...], places: range) -> Node:
    return node if node.shape == shape else make("broadcast", node, shape=shape, axes=tuple(places))


def scaled(node: Node, scale: float, shape: tuple[int, ...]) -> Node:
    return make("mul", node, arithmetic.filled(number_node(scale, "f32"), shape))


def normal(key: tuple[int, int], at: draws.Counter, scale: float, shape: tuple[int, ...]) -> Node:
    """Mean 0, standard deviation `scale`."""
    return scaled(draws.draw("normal", key, at), scale, shape)


def uniform(key: tuple[int, int], at: draws.Counter, bound: float, shape: tuple[int, ...]) -> Node:
    """On [-bound, bound): (2 u - 1) * bound."""
    ones = arithmetic.filled(number_node(1.0, "f32"), shape)
    unit = draws.draw("uniform", key, at)
    return scaled(make("sub", make("add", unit, unit), ones), bound, shape)


#: name → (its parameter, the draw)
DISTRIBUTIONS = {"normal": ("s", normal), "uniform": ("a", uniform)}
