"""Meaning of `param` and `state` in a layer, of `state` in an optimizer, and of `:=`.

Takes: a frame and a declaration. Promises: a slot of state named by the label path, stacked along every `repeat`
around it; the name bound to its value in this region. A state is assigned at most once a step, while training, in the
region that declared it.
"""

from __future__ import annotations

from typing import Any

from jobspec.lang import initial, tree
from jobspec.lang.alignment import widen
from jobspec.lang.dispatch import evaluate, means
from jobspec.lang.frame import Cell, Frame
from jobspec.lang.refusal import Refusal, need
from jobspec.lang.registry import Held, hold
from jobspec.lang.things import need_value
from jobspec.lang.values import Axes, Tensor, floats


@means(tree.Parameter)
def parameter(frame: Frame, node: tree.Parameter) -> None:
    need(frame.kind == "layer", "E0247", "`param` stands in a layer", f"make this `{frame.kind}` a `layer`")
    if node.type is None:
        name = node.name.text
        help = f"as in `param {name}: X -> H`; a single number has an axis too: `dim One=1`, `param {name}: One = 0`"
        raise Refusal("E0248", f"`{name}` needs its axes", help=help)
    need(
        node.init is not None,
        "E0249",
        f"`{node.name.text}` needs its first value",
        "as in `~ normal(.02)`, `~ uniform(.1)` or `= 0`",
    )
    bind_slot(frame, node, "parameter")


@means(tree.State)
def state(frame: Frame, node: tree.State) -> None:
    need(frame.kind in ("layer", "optim"), "E0247", "`state` stands in a layer or an optimizer")
    need(node.init is not None, "E0249", f"`{node.name.text}` needs its first value", "as in `state m = 0`")
    if frame.kind == "layer":
        if node.type is None:
            raise Refusal("E0248", f"`{node.name.text}` needs its axes", help=f"as in `state {node.name.text}: C = 0`")
        bind_slot(frame, node, "layer")
    else:
        bind_optimizer_state(frame, node)


def bind_slot(frame: Frame, node: tree.Parameter | tree.State, kind: str) -> None:
    name = node.name.text
    if name in frame.activation.declared or name in frame.activation.labelled:
        raise Refusal(
            "E0242",
            f"`{name}` is declared a second time in this layer",
            help="give each parameter and label its own name",
        )
    frame.activation.declared[name] = node.span
    held = frame.work.registry.declare(described_slot(frame, node, kind))
    frame.work.places.mark(held.tensor.node, node.span)
    tensor = frame.region.bring_parameter(held.tensor)
    frame.scope.bind(name, tensor, node.span)
    frame.work.places.watcher.saw(frame, node, held)
    if kind == "layer":
        frame.states[name] = Cell(held.slot.name, frame.region, tensor.axes, tensor.node.shape)


def described_slot(frame: Frame, node: tree.Parameter | tree.State, kind: str) -> Held:
    """The slot that the declaration asks for."""
    assert node.type is not None and node.init is not None
    axes, arrow = axes_of(frame, node.type)
    stacks = frame.region.stacks()
    for axis, _ in stacks:
        need(axis not in axes, "E0233", f"{axis} is repeated here, and the parameter has it itself")
    shape = frame.sizes(axes)
    path = (*frame.activation.path, node.name.text)
    drawn = isinstance(node, tree.Parameter) and node.drawn
    make_first = initial.drawn if drawn else initial.written
    first = make_first(frame, node.init, initial.Wanted(path, axes, shape, tuple(n for _, n in stacks)))
    return hold(
        ".".join(path),
        kind,
        (*(a for a, _ in stacks), *axes),
        (*(n for _, n in stacks), *shape),
        arrow,
        first,
        len(stacks),
        node.span,
    )


def axes_of(frame: Frame, type_: tree.AxisType) -> tuple[Axes, tuple[int, int]]:
    """Axes in the written order and how many stand on each side of the arrow. C may stand on both sides."""
    stacked, left = frame.resolve_all(type_.stacked), frame.resolve_all(type_.left)
    right = frame.resolve_all(type_.right or ())
    for axis in stacked:
        need(axis not in left + right, "E0204", f"{axis} stands twice in these axes")
    axes = (*stacked, *left, *right)
    return axes, ((len(left), len(right)) if type_.right is not None else (0, 0))


def bind_optimizer_state(frame: Frame, node: tree.State) -> None:
    """A slot `parameter/name` with the parameter's axes, or with those that are written, behind the stacked ones."""
    assert node.init is not None
    name, updated = node.name.text, frame.states.get("p") or frame.states["a"]
    need(name not in frame.states, "E0242", f"`{name}` is declared a second time in this optimizer")
    axes = updated.axes if node.type is None else (*updated.stacked, *frame.resolve_all(node.type.left))
    sizes = dict(zip(updated.axes, updated.shape, strict=True))
    for axis in axes:
        need(axis in sizes, "E0203", f"the updated parameter has no axis {axis}")
    shape = updated.shape if node.type is None else tuple(sizes[axis] for axis in axes)
    first = initial.written(frame, node.init, initial.Wanted((), axes, shape, ()))
    arrow = frame.scope.names["p"].value if node.type is None else None
    held = hold(
        f"{updated.slot}/{name}",
        "optimizer",
        axes,
        shape,
        (arrow.left, arrow.right) if arrow else (0, 0),
        first,
        0,
        node.span,
    )
    held = frame.work.registry.declare(held)
    frame.work.places.mark(held.tensor.node, node.span)
    frame.scope.bind(name, held.tensor, node.span)
    frame.states[name] = Cell(held.slot.name, frame.region, axes, shape)


@means(tree.Assign)
def assign(frame: Frame, node: tree.Assign) -> None:
    name = node.name.text
    cell = frame.states.get(name)
    if cell is None:
        raise Refusal(
            "E0252",
            f"`:=` sets a state; `{name}` is none here",
            help=f"write `{name} = …` for a value of this step alone",
        )
    check_assignable(frame, cell, name)
    value = conformed(need_value(evaluate(frame, node.value)), cell)
    frame.region.assigned[cell.slot] = value
    frame.scope.bind(name, value, node.span)


def check_assignable(frame: Frame, cell: Cell, name: str) -> None:
    need(frame.work.training, "E0252", f"`{name}` is assigned outside of training", "put it into `if training { … }`")
    need(
        cell.home is frame.region and not frame.region.in_scan(),
        "E0252",
        f"`{name}` would be assigned several times a step",
        "assign it outside of the loop",
    )
    need(cell.slot not in frame.region.assigned, "E0252", f"`{name}` is assigned twice in a step")


def conformed(value: Any, cell: Cell) -> Tensor:
    """The value in the state's axes, order and type."""
    t = floats(value)
    sizes = dict(zip(cell.axes, cell.shape, strict=True))
    if t.axes == cell.axes and t.node.shape == cell.shape:
        return t
    for axis, size in zip(t.axes, t.node.shape, strict=True):
        need(
            sizes.get(axis) == size,
            "E0213",
            f"the state has axes {' '.join(cell.axes) or 'none'}; the value has {axis} {size}",
            "reduce or slice the value first",
        )
    return widen(t, cell.axes, sizes)
