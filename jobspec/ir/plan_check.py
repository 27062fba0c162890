"""The plan's checker: every access of every kernel lies inside its buffer, every buffer inside its space.

Takes: a routine. Promises: returns where that is proved for all positions, turns and picked indices, numbers of
kernels and buffers exist, and insts are of their operation's form and read what stands before them; else raises
IllFormed with all reasons.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobspec.ir.check import IllFormed
from jobspec.ir.classes import has_matrices
from jobspec.ir.kernel import KINDS, VIEWS, Inst, Kernel, View, may_halve
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Call, Plan, Routine, Steps, Turns
from jobspec.ir.routing import Routing
from jobspec.ir.trio import trios
from jobspec.ir.types import HALVES

LINE = 64
#: what an inst says, by its operation; those of the op table say no more than some of them
NEEDED = {
    op: frozenset(names.split())
    for op, names in {
        "const": "bits",
        "index": "axis",
        "load": "view",
        "store": "view",
        "reduce": "how",
        "product": "a b",
        "route": "view",
        "accumulate": "view",
    }.items()
}
NUMBERS = ("bits", "axis", "flag")


def check_plan(plan: Plan) -> None:
    """Raises IllFormed with every fault of every routine."""
    for routine in plan.routines:
        check_routine(routine, has_matrices(plan.target))


def check_routine(routine: Routine, halves: bool = True) -> None:
    """Raises IllFormed with every fault of `routine`; `halves`: its target has kernels that read numbers in two
    bytes."""
    faults = [*form_faults(routine), *half_faults(routine, halves), *step_faults(routine, routine.steps, ())]
    alone = unseen(routine) if not faults else None
    if faults := [*buffer_faults(routine, alone), *faults]:
        raise IllFormed("\n".join(f"routine {routine.name}: {fault}" for fault in faults))


def form_faults(routine: Routine) -> Iterator[str]:
    """Insts, called or not, that lack what their operation is made of, or have something else in its place."""
    for number, kernel in enumerate(routine.kernels):
        for at, inst in enumerate(kernel.body):
            if not is_whole(inst, len(kernel.axes)):
                yield f"kernel {number}: inst {at} ({inst.op[:40]}) is not of the form that its operation has"


def half_faults(routine: Routine, known: bool) -> Iterator[str]:
    """Buffers of numbers in two bytes where none may be, or that others touch than those who know them."""
    found = {number for number, buffer in enumerate(routine.buffers) if buffer.type.dtype == HALVES}
    outside = {n for _, n in (*routine.slots, *routine.feeds, *routine.reports)} | {n for n, _ in routine.constants}
    strange = found if not known else found & {*outside, routine.flag_buffer, routine.step}
    yield from (f"buffer {number} may not hold {HALVES}" for number in sorted(strange))
    for number, kernel in enumerate(routine.kernels if found else ()):
        for at, inst in enumerate(kernel.body):
            views = {v.buffer for name, v in inst.attrs if name in VIEWS and isinstance(v, View)}
            if views & found and not (may_halve(inst) and inst.dtype == "f32"):
                yield f"kernel {number}: inst {at} ({inst.op[:40]}) cannot know numbers in {HALVES}"


def is_whole(inst: Inst, axes: int) -> bool:
    said, op = dict(inst.attrs), OPS.get(inst.op)
    if inst.op not in NEEDED and (op is None or op.arity not in (None, len(inst.args))):
        return False
    views = all(isinstance(value, View) for name, value in said.items() if name in VIEWS)
    numbers = all(type(said[name]) is int for name in NUMBERS if name in said)
    return views and numbers and NEEDED.get(inst.op, frozenset()) <= said.keys() and 0 <= said.get("axis", 0) < axes


def buffer_faults(routine: Routine, alone: frozenset[int] | None) -> Iterator[str]:
    """Buffers that do not start on a line or reach beyond their space; those in no memory that are not among those
    that one launch `alone` makes and reads, where that is known."""
    sizes = {"arena": routine.arena, "feed": routine.feed}
    for number, buffer in enumerate(routine.buffers):
        if buffer.space == "group":
            if alone is not None and number not in alone:
                yield f"buffer {number} ({buffer.name}) is in no memory, and not one launch's own"
        elif buffer.space not in sizes:
            yield f"buffer {number} is in no space"
        elif buffer.offset % LINE or not 0 <= buffer.offset <= sizes[buffer.space] - buffer.type.nbytes:
            yield f"buffer {number} ({buffer.name}) lies outside its space"


def unseen(routine: Routine) -> frozenset[int]:
    """Buffers that need no memory."""
    return frozenset(number for trio in trios(routine) for number in trio.unseen)


def step_faults(routine: Routine, steps: Steps, turns: tuple[int, ...]) -> Iterator[str]:
    """Faults of the kernels that `steps` call, inside loops of `turns` counts."""
    for step in steps:
        if isinstance(step, Turns):
            yield from step_faults(routine, step.steps, (*turns, step.count))
        elif isinstance(step, Call):
            if not 0 <= step.kernel < len(routine.kernels):
                yield f"there is no kernel {step.kernel}"
                continue
            kernel = routine.kernels[step.kernel]
            yield from (f"kernel {step.kernel}: {fault}" for fault in kernel_faults(routine, kernel, turns))


def kernel_faults(routine: Routine, kernel: Kernel, turns: tuple[int, ...]) -> Iterator[str]:
    if kernel.kind not in KINDS or any(axis.size < 1 for axis in kernel.axes):
        yield "its kind or its axes are none"
        return
    for number, inst in enumerate(kernel.body):
        if any(not 0 <= arg < number for arg in inst.args):
            yield f"inst {number} reads what does not stand before it"
        if "chain" in dict(inst.attrs) and not is_chained(kernel, inst):
            yield f"inst {number} does not say how long its leaves are, or where they begin"
            continue
        if not is_bounded(inst):
            yield f"inst {number} does not say how far its index reaches"
            continue
        for name, view in ((n, value) for n, value in inst.attrs if isinstance(value, View)):
            faults = view_faults(routine, kernel, further(kernel, inst, name), view, turns)
            yield from (f"inst {number}: {fault}" for fault in faults)


def is_chained(kernel: Kernel, inst: Inst) -> bool:
    """Whether a product's leaves are whole and are added to something."""
    steps, leaf = kernel.size("k"), inst["chain"]
    return type(leaf) is int and leaf > 0 and steps % leaf == 0 and len(inst.args) == 1


def is_bounded(inst: Inst) -> bool:
    """Whether it has numbers for how far an index reaches, if one moves its view: by `pick` a place, either way."""
    said = dict(inst.attrs)
    least = {"size": 1, "block": 1} if inst.op == "route" else {"bound": 0} if "pick" in said else {}
    return type(said.get("pick", 0)) is int and all(type(said.get(n)) is int and said[n] >= m for n, m in least.items())


def further(kernel: Kernel, inst: Inst, name: str) -> tuple[int, int]:
    """(stride, size) of the axis that an index adds to the view `name` of `inst`."""
    attrs = dict(inst.attrs)
    if inst.op == "route":
        return 1, Routing(kernel.size("place"), attrs["size"], attrs["block"]).length
    picked = (inst.op in ("load", "accumulate") or (inst.op == "product" and name == "b")) and "pick" in attrs
    return (attrs["pick"], attrs["bound"]) if picked else (0, 1)


def view_faults(
    routine: Routine, kernel: Kernel, more: tuple[int, int], view: View, turns: tuple[int, ...]
) -> Iterator[str]:
    """Whether `view`, which an index moves along one axis `more`, can reach an element outside its buffer."""
    if not 0 <= view.buffer < len(routine.buffers):
        yield f"there is no buffer {view.buffer}"
        return
    if len(view.strides) != len(kernel.axes) or len(view.turns) != len(turns):
        yield "a view has another number of axes or loops than its kernel"
        return
    low, high = reach(kernel, more, view, turns)
    buffer = routine.buffers[view.buffer]
    if low < 0 or high >= buffer.type.size:
        yield f"elements {low} … {high} of buffer {view.buffer} ({buffer.name}), which has {buffer.type.size}"


def reach(kernel: Kernel, more: tuple[int, int], view: View, turns: tuple[int, ...]) -> tuple[int, int]:
    """The lowest and the highest element that a view can address."""
    steps = [*zip(view.strides, (a.size for a in kernel.axes), strict=True), *zip(view.turns, turns, strict=True)]
    ends = [stride * (size - 1) for stride, size in (*steps, more)]
    return view.offset + sum(e for e in ends if e < 0), view.offset + sum(e for e in ends if e > 0)
