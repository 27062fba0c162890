"""Random draws of a step: rand, randint, normal.

Takes: a frame and the axes of the draw. Promises: the draw is named by the label path it stands in and its number
there; its values are indexed by step, example (the axis B) and element, so neither the split of a batch nor another
layer's draws move them. An evaluation draws under names of its own, the same whenever it is made: with B by the
example's number in the evaluation, without B by that of the batch.
"""

from __future__ import annotations

from jobspec.ir.program import Node, make
from jobspec.lang import arithmetic, draws
from jobspec.lang.frame import Frame
from jobspec.lang.refusal import Refusal
from jobspec.lang.values import Axes, Tensor, Value

BATCH = "B"


def uniform(frame: Frame, axes: Axes) -> Tensor:
    """Uniform on [0, 1)."""
    return Tensor(draws.draw("uniform", key(frame), counter(frame, axes)), axes)


def normal(frame: Frame, axes: Axes, scale: Value) -> Value:
    """Standard normal times `scale`."""
    drawn = Tensor(draws.draw("normal", key(frame), counter(frame, axes)), axes)
    return arithmetic.binary("*", drawn, scale, frame.stated)


def whole(frame: Frame, axes: Axes, low: int, high: int) -> Tensor:
    """Whole numbers of [low, high)."""
    if not -(2**31) <= low < high <= 2**31 or high - low == 2**32:
        raise Refusal("E0222", f"`randint` draws 32-bit whole numbers from {low} up to, not including, {high}")
    return Tensor(draws.whole(key(frame), counter(frame, axes), low, high), axes)


def key(frame: Frame) -> tuple[int, int]:
    activation = frame.activation
    activation.draws += 1
    kind = "draw" if frame.work.training else "evaluation"
    return draws.key_words(frame.work.seed, (*activation.draw_path, kind, str(activation.draws - 1)))


def counter(frame: Frame, axes: Axes) -> draws.Counter:
    shape = frame.sizes(axes)
    place, turn = example(frame, axes, shape), stream(frame, shape)
    assert frame.work.step is not None
    step = everywhere(frame.region.reach(frame.work.step, frame.work.root).node, shape)
    if BATCH in axes and not frame.work.training:
        before = make("mul", step, draws.word(shape[axes.index(BATCH)], shape))
        place, step = make("add", before, place), draws.word(0, shape)
    return draws.Counter(element(axes, shape), place, step, turn)


def element(axes: Axes, shape: tuple[int, ...]) -> Node:
    """The index within one example: row-major over the axes other than B."""
    own = tuple(n for axis, n in zip(axes, shape, strict=True) if axis != BATCH)
    places = tuple(i for i, axis in enumerate(axes) if axis != BATCH)
    return make("broadcast", draws.indices(own), shape=shape, axes=places) if own != shape else draws.indices(shape)


def example(frame: Frame, axes: Axes, shape: tuple[int, ...]) -> Node:
    """The example's place in the whole batch; 0 for a draw that has no B."""
    if BATCH not in axes:
        return draws.word(0, shape)
    place, work = axes.index(BATCH), frame.work
    if work.examples is None:
        counted = draws.indices((shape[place],))
    else:
        counted = make("cast", frame.region.reach(work.examples, work.root).node, dtype="u32")
    return make("broadcast", counted, shape=shape, axes=(place,))


def stream(frame: Frame, shape: tuple[int, ...]) -> Node:
    """The turn of the loops around."""
    turn = frame.region.turn()
    return draws.word(0, shape) if turn is None else everywhere(turn, shape)


def everywhere(node: Node, shape: tuple[int, ...]) -> Node:
    """An i32 scalar as u32 of `shape`."""
    word = make("cast", node, dtype="u32")
    return make("broadcast", word, shape=shape, axes=()) if shape else word
