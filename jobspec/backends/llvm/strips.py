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
#: the states at one vector: of each half of a strip its own
States = list[State]
#: what happens at vectors side by side: scopes, the states of each; gives them back as they are after it
Visit = Callable[[list[Scope], list[States]], list[States]]


def mask_of(count: int) -> Value | None:
    """The mask of a vector with `count` elements left; None for a whole one."""
    return None if count >= WIDTH else prefix_mask(count, WIDTH)


def walk(
    rows: Sequence[Scope], start: Int, stop: Int, tail: int, states: list[States], visit: Visit, guard: bool = True
) -> list[States]:
    """Strips from `start` to `stop` (a multiple of STRIP apart), then `tail` < STRIP more elements, of all `rows` side
    by side. `states`: those of the first row's halves, then the next one's. Without `guard` there is a strip."""
    f, axis = rows[0].f, rows[0].nest.vector

    def strip(i: Value, *carried: Value) -> Sequence[Value]:
        inside = [row.enter((axis,), (i,)) for row in rows]
        return flat(visit([here.lanes(half) for here in inside for half in (0, 1)], shaped(carried, states)))

    after = shaped(f.loop(start, stop, STRIP, strip, flat(states), guard), states)
    return leftover([row.enter((axis,), (stop,)) for row in rows], tail, after, visit) if tail else after


def leftover(rows: Sequence[Scope], tail: int, states: list[States], visit: Visit) -> list[States]:
    """The last `tail` elements, from the position of `rows` on."""
    halves = vectors_of(tail)
    after = visit([row.lanes(half, mask) for row in rows for half, mask in halves], states[:: 3 - len(halves)])
    return after if len(halves) == 2 else [state for pair in zip(after, states[1::2], strict=True) for state in pair]


def flat(states: Sequence[States]) -> list[Value]:
    return [value for some in states for value in flatten(some)]


def shaped(values: Sequence[Value], like: Sequence[States]) -> list[States]:
    """`values` cut into states as those of `like` are."""
    rest = unflatten(values, [state for some in like for state in some])
    each = len(like[0])
    return [rest[i * each : (i + 1) * each] for i in range(len(like))]


def vectors_of(size: int) -> list[tuple[int, Value | None]]:
    """The number and mask of every vector of `size` elements."""
    return [(c, mask_of(size - c * WIDTH)) for c in range(-(-size // WIDTH))]


def vectors(scope: Scope, start: Int, size: int) -> list[Scope]:
    """A scope for every vector of `size` elements along the axis, from `start` on; the last one is masked."""
    first = scope.enter((scope.nest.vector,), (start,))
    return [first.lanes(c, mask) for c, mask in vectors_of(size)]
