"""Meaning of `repeat` and `scan`.

Takes: a frame and a loop. Promises: `repeat L` and `scan T` are one rolled body in the program, whatever the depth;
`repeat 5` is written out. What a repeat hands from turn to turn are the names it binds that stood before it; a scan
says what it hands on, and gives one value per turn, stacked along its axis.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobspec.lang import tree
from jobspec.lang.alignment import ordered, widen
from jobspec.lang.dispatch import assigned_in, evaluate, execute, means
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal, Silenced, need
from jobspec.lang.region import Loop
from jobspec.lang.scope import POISON
from jobspec.lang.things import need_value, need_whole
from jobspec.lang.values import Tensor, cast, described, floats

LONGEST_UNROLLED = 1000


@means(tree.Repeat)
def repeat(frame: Frame, node: tree.Repeat) -> None:
    if isinstance(node.count, tree.AxisSize):
        roll(frame, node, frame.one(node.count.axis))
    else:
        unroll(frame, node, need_whole(evaluate(frame, node.count)))


def unroll(frame: Frame, node: tree.Repeat, count: int) -> None:
    need(
        count <= LONGEST_UNROLLED,
        "E0266",
        f"`repeat {count}` would be written out {count} times",
        "declare an axis of this size and repeat that: it stays one body",
    )
    for turn in range(count):
        if node.index:
            frame.scope.bind(node.index.text, turn, node.index.span)
        if execute(frame, node.body) is POISON:
            raise Silenced


def roll(frame: Frame, node: tree.Repeat, axis: str) -> None:
    loop = Loop(parent=frame.region, axis=axis, size=frame.size(axis))
    names = [name for name in assigned_in(node.body) if frame.scope.find(name)]
    outside = {name: start(frame.scope.read(name), name, axis) for name in names}
    inside = frame.inside(loop)
    for name, t in outside.items():
        inside.scope.bind(name, loop.carry(t), node.span)
    if node.index:
        inside.scope.bind(node.index.text, Tensor(loop.turn_input(), ()), node.index.span)
    if execute(inside, node.body) is POISON or any(b.value is POISON for b in inside.scope.names.values()):
        raise Silenced
    ends = {name: handed_on(inside.scope.read(name), before, name) for name, before in outside.items()}
    finish(frame, loop, outside, ends, node)


def start(value: Any, name: str, axis: str) -> Tensor:
    """A value to hand on: a number becomes a float32 scalar."""
    t = value if isinstance(value, Tensor) else floats(need_value(value))
    need(axis not in t.axes, "E0233", f"`{name}` has the axis {axis} that is repeated, so turns cannot hand it on")
    return cast(t, "f32") if t.dtype == "bool" else t


def handed_on(value: Any, before: Tensor, name: str) -> Tensor:
    """The value after a turn, in the form it had before. Refuses other axes or sizes."""
    t = value if isinstance(value, Tensor) else floats(need_value(value))
    sizes = dict(zip(before.axes, before.node.shape, strict=True))
    if set(t.axes) != set(before.axes) or any(t.size(axis) != n for axis, n in sizes.items()):
        raise Refusal(
            "E0267",
            f"`{name}` changes its axes from turn to turn",
            notes=(f"before the first turn: {described(before)}; after it: {described(t)}",),
            help=f"state its axes before the loop: `{name}: {' '.join(t.axes)} = …`" if t.axes else None,
        )
    if before.dtype == "i32" and t.dtype != "i32":
        raise Refusal(
            "E0267",
            f"`{name}` is a whole number before the first turn and float32 after it",
            help=f"start it as float32: `{name} = 0.0`",
        )
    return cast(t if t.axes == before.axes else ordered(t, before.axes), before.dtype)


def finish(frame: Frame, loop: Loop, outside: dict[str, Tensor], ends: dict[str, Tensor], node: tree.Repeat) -> None:
    states = list(loop.assigned.items())
    need(
        bool(ends or states),
        "E0268",
        "this loop changes nothing that is seen after it",
        "bind a name that stood before the loop, as in `x = x + f(x)`",
    )
    results = loop.close([t.node for t in ends.values()], [t.node for _, t in states])
    for result in results:
        frame.work.places.mark(result, node.span)
    for (name, t), end in zip(outside.items(), results, strict=False):
        frame.scope.bind(name, replace(t, node=end), node.span)
    for (slot, t), result in zip(states, results[len(outside) :], strict=True):
        frame.region.assigned[slot] = Tensor(result, (loop.axis, *t.axes))


@means(tree.Scan)
def scan(frame: Frame, node: tree.Scan) -> Tensor:
    axis = frame.one(node.axis)
    loop = Loop(parent=frame.region, axis=axis, size=frame.size(axis), stacking=False)
    outside = {p.name.text: first(frame, p, axis) for p in node.carry}
    inside = frame.inside(loop)
    for name, t in outside.items():
        inside.scope.bind(name, loop.carry(t), node.span)
    for parameter in node.carry:
        frame.work.places.watcher.saw(inside, parameter, outside[parameter.name.text])
    result = execute(inside, node.body)
    if result is POISON or any(b.value is POISON for b in inside.scope.names.values()):
        raise Silenced
    need(result is not None, "E0263", "a scan's body ends with the value of each turn")
    given = need_value(result)
    each = given if isinstance(given, Tensor) else floats(given)
    ends = [handed_on(inside.scope.read(name), before, name) for name, before in outside.items()]
    stacked = loop.close([t.node for t in ends], [each.node])[-1]
    return Tensor(stacked, (axis, *each.axes), entered=each.entered)


def first(frame: Frame, parameter: tree.Param, axis: str) -> Tensor:
    """What a scan carries, before the first turn."""
    name = parameter.name.text
    if parameter.default is None:
        raise Refusal("E0261", f"`{name}` needs its first value", help=f"as in `scan {axis} ({name}: B H = 0) {{ … }}`")
    value = evaluate(frame, parameter.default)
    if parameter.type is None:
        return start(value, name, axis)
    axes = frame.resolve_all(parameter.type.left)
    t = floats(need_value(value))
    need(
        set(t.axes) <= set(axes),
        "E0213",
        f"`{name}` is stated to have the axes {' '.join(axes)}; its first value has others",
    )
    return start(widen(t, axes, {a: frame.size(a) for a in axes}), name, axis)
