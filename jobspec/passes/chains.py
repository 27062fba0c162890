"""Sums over the turns of a loop, taken out of it: behind the loop contractions over many turns for one in each.

Takes: steps and their kernels, before memory is planned. Promises: a call that adds a contraction of at most one leaf
to a sum that nothing else in the loop touches stands behind the loop as `product(x; a, b; chain)` over turns and k, a
few leaves' steps at a time: the same additions in the same order. Its operands lie there as each turn left them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from jobspec.ir.contract import LEAF
from jobspec.ir.kernel import WRITES, Axis, Inst, Kernel, View
from jobspec.ir.plan import Barrier, Call, Steps, Turns, called

SUM = ("product", "load", "add", "store")
#: steps of k that one call takes at most: of so many, rows and panels find room in the second cache
TOGETHER = 512


def take_out_sums(steps: Steps, kernels: list[Kernel]) -> Steps:
    """The steps anew; `kernels` are changed, and there may be more of them."""
    found: list[Call | Barrier | Turns] = []
    for step in steps:
        if isinstance(step, Turns):
            found += parted(replace(step, steps=take_out_sums(step.steps, kernels)), kernels)
        else:
            found.append(step)
    return tuple(found)


def parted(loop: Turns, kernels: list[Kernel]) -> Iterator[Call | Turns]:
    """The loop and behind it what can be taken out."""
    out = [step for step in loop.steps if isinstance(step, Call) and leaves(step, loop, kernels)]
    kept = tuple(step for step in loop.steps if step not in out)
    if kept:
        yield replace(loop, steps=kept)
    for call in out:
        yield from behind(call, loop, kernels)


def leaves(call: Call, loop: Turns, kernels: list[Kernel]) -> bool:
    """Whether `call` can wait for the end of the loop."""
    kernel = kernels[call.kernel]
    if not sums_up(kernel):
        return False
    numbers = [*called(loop.steps)]
    others = [number for number in numbers if number != call.kernel]
    if len(others) + 1 != len(numbers):
        return False
    total = kernel.body[1]["view"].buffer
    alone = not any(view.buffer == total for n in others for view, _ in kernels[n].views())
    return alone and all(stays(kernel.body[0][side], call, loop, kernels) for side in "ab")


def sums_up(kernel: Kernel) -> bool:
    """Whether it is `total = total + product(a, b)`, of one leaf, the total of all turns in one place."""
    body = kernel.body
    if kernel.kind != "contract" or tuple(inst.op for inst in body) != SUM:
        return False
    product, load, add, store = body
    plain = {name for name, _ in product.attrs} == {"a", "b"} and not load.args and set(add.args) == {0, 1}
    return plain and store.args == (2,) and in_place(load, store) and kernel.size("k") <= LEAF


def in_place(load: Inst, store: Inst) -> bool:
    view: View = store["view"]
    return view == load["view"] and store["flag"] < 0 and view.turns[-1:] == (0,)


def stays(view: View, call: Call, loop: Turns, kernels: list[Kernel]) -> bool:
    """Whether what `view` reads in a turn is there when the loop has ended: all turns write apart from each other, and
    before they read."""
    spans, at = [span(kernels[call.kernel], view)], loop.steps.index(call)
    for place, step in enumerate(loop.steps):
        for number in called((step,)):
            for inst in writing(kernels[number], view.buffer):
                if place > at or isinstance(step, Turns) or inst.op != "store" or inst["view"].turns != view.turns:
                    return False
                spans.append(span(kernels[number], inst["view"]))
    return len(spans) == 1 or max(high for _, high in spans) - min(low for low, _ in spans) < abs(view.turns[-1])


def writing(kernel: Kernel, buffer: int) -> list[Inst]:
    """The insts that write to `buffer`."""
    return [i for i in kernel.body if i.op in WRITES and i["view"].buffer == buffer]


def span(kernel: Kernel, view: View) -> tuple[int, int]:
    """The first and the last element that `view` touches in turn 0 of all loops."""
    ends = [stride * (axis.size - 1) for stride, axis in zip(view.strides, kernel.axes, strict=True)]
    return view.offset + sum(e for e in ends if e < 0), view.offset + sum(e for e in ends if e > 0)


def behind(call: Call, loop: Turns, kernels: list[Kernel]) -> Iterator[Call | Turns]:
    """What stands behind the loop for `call`: as many turns at once as can be, then those that are left."""
    kernel = kernels[call.kernel]
    each = min(loop.count, max(1, TOGETHER // kernel.size("k")))
    whole, left = divmod(loop.count, each)
    kernels[call.kernel] = over_turns(kernel, loop, 0, each)
    yield Turns(whole, False, (call,))
    if left:
        kernels.append(over_turns(kernel, loop, whole * each, left))
        yield Turns(1, False, (Call(len(kernels) - 1),))


def over_turns(kernel: Kernel, loop: Turns, first: int, count: int) -> Kernel:
    """`kernel` over `count` turns of the loop from `first` on, the slowest of its summed axes; in a loop over as many
    more."""
    product, load, _, store = kernel.body
    at = kernel.axes_of("k")[0]

    def turned(view: View) -> View:
        step = -view.turns[-1] if loop.reverse else view.turns[-1]
        begin = first if not loop.reverse else first + 1 - loop.count
        strides = (*view.strides[:at], step, *view.strides[at:])
        return View(view.buffer, view.offset + step * begin, strides, (*view.turns[:-1], step * count))

    def seen(inst: Inst) -> Inst:
        return replace(inst, attrs=tuple((k, turned(v) if isinstance(v, View) else v) for k, v in inst.attrs))

    summed = seen(product)
    attrs = tuple(sorted((*summed.attrs, ("chain", kernel.size("k")))))
    body = (seen(load), replace(summed, args=(0,), attrs=attrs), replace(seen(store), args=(1,)))
    axes = (*kernel.axes[:at], Axis(count, "k"), *kernel.axes[at:])
    return Kernel(kernel.name, kernel.kind, axes, body)
