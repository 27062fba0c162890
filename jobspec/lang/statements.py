"""Meaning of the statements that bodies share: let, if, value; and what may not stand in them.

Takes: a frame and a statement. Promises: names bound in the frame's scope. A let that states axes states its result:
the operands of its own expression may then be paired along any of these axes, and the result is stored in their order.
"""

from __future__ import annotations

from typing import Any

from jobspec.lang import tree
from jobspec.lang.alignment import widen
from jobspec.lang.dispatch import evaluate, execute, means
from jobspec.lang.frame import Frame, Located
from jobspec.lang.refusal import Refusal
from jobspec.lang.things import Listed, kind_of, need_value
from jobspec.lang.values import Tensor, described, floats


@means(tree.Let)
def let(frame: Frame, node: tree.Let) -> None:
    if isinstance(node.value, tree.Scan) or len(node.targets) > 1:
        values = evaluate(frame, node.value)
        bind_several(frame, node.targets, values)
        return
    (target,) = node.targets
    stated = axes_stated(frame, target)
    frame.scope.bind(target.name.text, conformed(frame, target, evaluate(frame.stating(stated), node.value)), node.span)


def axes_stated(frame: Frame, target: tree.Target) -> tuple[str, ...] | None:
    """Those that are written; in an optimizer, behind the ones that its pattern leaves out."""
    if target.type is None:
        return None
    written = frame.resolve_all([*target.type.stacked, *target.type.left, *(target.type.right or ())])
    around = frame.states["p"].stacked if frame.kind == "optim" else ()
    return (*around, *written)


def conformed(frame: Frame, target: tree.Target, value: Any) -> Any:
    """The value with the axes that the statement states, in their order; with its arrow, if one is written."""
    stated = axes_stated(frame, target)
    if stated is None or target.type is None:
        return value
    t = value if isinstance(value, Tensor) else floats(need_value(value))
    for axis in t.axes:
        if axis not in stated:
            raise Refusal(
                "E0213",
                f"`{target.name.text}` is stated to have the axes {' '.join(stated)}; its value has {axis}",
                label=f"axes: {described(t)}",
            )
    t = widen(t, stated, {axis: frame.size(axis) for axis in stated})
    left, right = len(target.type.left), len(target.type.right or ())
    return Tensor(t.node, t.axes, left if right else 0, right, t.entered)


def bind_several(frame: Frame, targets: tuple[tree.Target, ...], value: Any) -> None:
    """`a, b = f(x)`: as many names as the list has items."""
    items = value.items if isinstance(value, Listed) else (value,)
    if len(items) != len(targets):
        what = f"{len(items)} values" if isinstance(value, Listed) else kind_of(value)
        raise Refusal("E0265", f"{len(targets)} names are bound, the right side is {what}")
    for target, item in zip(targets, items, strict=True):
        frame.scope.bind(target.name.text, conformed(frame, target, item), target.span)


@means(tree.Value)
def value(frame: Frame, node: tree.Value) -> Any:
    return evaluate(frame, node.value)


@means(tree.If)
def conditional(frame: Frame, node: tree.If) -> Any:
    """One branch, chosen at compile time; names it binds stay."""
    test = evaluate(frame, node.test)
    if not isinstance(test, bool):
        raise Located(
            "E0224",
            f"`if` decides at compile time, and this is {kind_of(test)}",
            node.test.span,
            help="choose between tensors with `select(condition, yes, no)`",
        )
    chosen = node.then if test else node.orelse
    return execute(frame, chosen) if chosen else None


#: statements of a section: the word, and where it stands
HOMES: dict[type[tree.Node], tuple[str, str]] = {
    tree.Update: ("update", "`train { … }`"),
    tree.Freeze: ("freeze", "`train { … }`"),
    tree.Average: ("average", "`train { … }`"),
    tree.Phase: ("phase", "`train { … }`"),
    tree.SetDim: ("AXIS = …", "a phase or an evaluation"),
    tree.ShardOver: ("shard", "`run { … }`"),
}


@means(*HOMES)
def misplaced(_: Frame, node: tree.Statement) -> None:
    word, home = HOMES[type(node)]
    help = "elsewhere an axis is declared by `dim`" if isinstance(node, tree.SetDim) else None
    raise Refusal("E0301", f"`{word}` stands in {home}, not here", help=help)
