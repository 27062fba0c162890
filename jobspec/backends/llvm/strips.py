"""Walking along the vector axis: strips of two vectors, then what is left over.

Takes: a scope outside the axis, a span of positions, states that go from strip to strip. Promises: the
visitor sees every position once, ascending, lane l of strip half h at position 32 k + 16 h + l; the last
vectors carry a mask. A known span is unrolled by whoever asks, never here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jobspec.backends.llvm.emit import Int
from jobspec.backends.llvm.folds import State, flatten, unflatten
from jobspec.backends.llvm.scope import WIDTH, Scope
from jobspec.backends.llvm.values import Value, prefix_mask

STRIP = 2 * WIDTH
#: what happens at one vector: scope, the states of its half of the strip; gives them back as they are after it
Visit = Callable[[Scope, list[State]], list[State]]
Halves = tuple[list[State], list[State]]


def mask_of(count: int) -> Value | None:
    """The mask of a vector with `count` elements left; None for a whole one."""
    return None if count >= WIDTH else prefix_mask(count, WIDTH)


def walk(scope: Scope, start: Int, stop: Int, tail: int, states: Halves, visit: Visit, guard: bool = True) -> Halves:
    """Strips from `start` to `stop` (a multiple of STRIP apart), then `tail` < STRIP more elements. Without `guard`
    there is at least one strip."""
    axis, f = scope.nest.vector, scope.f
    shape = [*states[0], *states[1]]

    def strip(i: Value, *carried: Value) -> Sequence[Value]:
        now = split(unflatten(carried, shape))
        here = scope.enter((axis,), (i,))
        return flatten([*visit(here.lanes(0), now[0]), *visit(here.lanes(1), now[1])])

    after = f.loop(start, stop, STRIP, strip, flatten(shape))
    return (
        leftover(scope.enter((axis,), (stop,)), tail, split(unflatten(after, shape)), visit)
        if tail
        else split(unflatten(after, shape))
    )


def leftover(here: Scope, tail: int, states: Halves, visit: Visit) -> Halves:
    """The last `tail` elements, from the position of `here` on."""
    low = visit(here.lanes(0, mask_of(tail)), states[0])
    high = visit(here.lanes(1, mask_of(tail - WIDTH)), states[1]) if tail > WIDTH else states[1]
    return low, high


def split(states: list[State]) -> Halves:
    half = len(states) // 2
    return states[:half], states[half:]


def vectors(scope: Scope, size: int) -> list[Scope]:
    """A scope for every vector of an axis of `size`, the last one masked."""
    first = scope.enter((scope.nest.vector,), (0,))
    return [first.lanes(c, mask_of(size - c * WIDTH)) for c in range(-(-size // WIDTH))]
