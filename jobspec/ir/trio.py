"""Three calls that can be one: a contraction, what becomes of its rows, and a contraction of that (attention).

Takes: step lists, kernels, placed buffers. Promises: a trio's rows are the same in all three, so that a group of rows
can go through them without the others: softmax(QKᵀ)V, and dO Vᵀ, softmax's gradient, times K, where each position of
a batch (a head of an example) has keys of its own. All three may run where the last one stands: nothing between reads
or overwrites what they use, and none of them overwrites what another one reads. Nothing of any target: schedulers and
backends read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from jobspec.ir.contraction import Contraction, Extent, normal_form, size
from jobspec.ir.kernel import Inst, Kernel, View, scans
from jobspec.ir.plan import Barrier, Buffer, Call, Routine, Steps, Turns
from jobspec.ir.spans import NOTHING, Spans, overlap, spans

#: what a product says that is no more than its operands
PLAIN = {"a", "b"}
#: (size, elements from one position to the next) of each axis
Walk = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Trio:
    """`first`, `middle`, `last`: kernels. `scores`: the first's form, rows along n; `values`: the last's, whose a is
    what the middle made of the rows, along k. `score`, `weight`: the stores, in the first and the middle, of what lies
    between; `kept`: those of the two buffers that others read as well."""

    first: int
    middle: int
    last: int
    scores: Contraction
    values: Contraction
    score: Inst
    weight: Inst
    kept: frozenset[int]

    @property
    def kernels(self) -> tuple[int, int, int]:
        return self.first, self.middle, self.last

    @property
    def between(self) -> tuple[int, int]:
        """The buffers between the three."""
        return self.score["view"].buffer, self.weight["view"].buffer

    @property
    def unseen(self) -> frozenset[int]:
        """Buffers that nobody reads but the three."""
        return frozenset(self.between) - self.kept

    @property
    def keys(self) -> int:
        """Numbers of a row."""
        return self.scores.n[0].size

    @property
    def positions(self) -> int:
        """Of the batch."""
        return size(self.scores.batch)

    @property
    def rows(self) -> int:
        """Rows of one batch position."""
        return size(self.scores.m)


def trios(routine: Routine) -> list[Trio]:
    """Those of a routine, in the order of its steps; a kernel is in one at most."""
    outside = [number for _, number in (*routine.slots, *routine.feeds, *routine.reports)]
    return find_trios(routine.steps, routine.kernels, routine.buffers, outside)


def find_trios(
    steps: Steps, kernels: Sequence[Kernel], buffers: tuple[Buffer, ...], outside: Iterable[int]
) -> list[Trio]:
    """`outside`: buffers that are read when the steps are done."""
    users, read = users_of(kernels), frozenset(outside)
    called = Counter(call.kernel for calls in lists_of(steps) for call in calls if isinstance(call, Call))
    found: list[Trio] = []
    for calls in lists_of(steps):
        order = {
            step.kernel: at for at, step in enumerate(calls) if isinstance(step, Call) and called[step.kernel] == 1
        }
        taken: set[int] = set()
        for middle in order:
            for trio in trios_at(middle, order, kernels, users, read):
                if taken.isdisjoint(trio.kernels) and is_movable(trio, calls, order, kernels, buffers):
                    taken |= {*trio.kernels}
                    found.append(trio)
    return found


def lists_of(steps: Steps) -> Iterator[Steps]:
    """`steps`, and those of every loop in them."""
    yield steps
    for step in steps:
        if isinstance(step, Turns):
            yield from lists_of(step.steps)


def users_of(kernels: Sequence[Kernel]) -> Mapping[int, frozenset[int]]:
    """Buffer → kernels that touch it."""
    found: dict[int, set[int]] = {}
    for number, kernel in enumerate(kernels):
        for view, _ in kernel.views():
            found.setdefault(view.buffer, set()).add(number)
    return {buffer: frozenset(numbers) for buffer, numbers in found.items()}


def trios_at(
    middle: int,
    order: Mapping[int, int],
    kernels: Sequence[Kernel],
    users: Mapping[int, frozenset[int]],
    outside: frozenset[int],
) -> Iterator[Trio]:
    """Those around one kernel, whatever stands between the calls."""
    kernel = kernels[middle]
    if kernel.kind != "rows" or scans(kernel):
        return
    read = {view.buffer for view, written in kernel.views() if not written}
    for weight in (inst for inst in kernel.body if inst.op == "store" and inst["view"].buffer not in read):
        for scores in sorted(read):
            around = users[scores] | users[weight["view"].buffer]
            firsts = (i for i in sorted(users[scores]) if i in order and order[i] < order[middle])
            lasts = [i for i in sorted(users[weight["view"].buffer]) if i in order and order[middle] < order[i]]
            for first, last in ((i, j) for i in firsts for j in lasts):
                trio = matched(first, middle, last, kernels, weight, scores)
                if trio is not None and only_writers(trio, kernels, around):
                    yield seen(trio, users, outside)


def only_writers(trio: Trio, kernels: Sequence[Kernel], around: Iterable[int]) -> bool:
    """Whether each buffer between has one store, its own."""
    writes = [(view.buffer, number) for number in around for view, written in kernels[number].views() if written]
    scores, weights = trio.between
    return [n for b, n in writes if b == scores] == [trio.first] and [n for b, n in writes if b == weights] == [
        trio.middle
    ]


def seen(trio: Trio, users: Mapping[int, frozenset[int]], outside: frozenset[int]) -> Trio:
    """`trio`, which knows what others read."""
    scores, weights = trio.between
    own = {scores: {trio.first, trio.middle}, weights: {trio.middle, trio.last}}
    kept = frozenset(b for b in trio.between if b in outside or not users[b] <= own[b])
    return replace(trio, kept=kept)


# ---- whether the rows are the same


def matched(first: int, middle: int, last: int, kernels: Sequence[Kernel], weight: Inst, buffer: int) -> Trio | None:
    """The three as one, by their shapes."""
    score = only_store(kernels[first])
    if score is None or score["view"].buffer != buffer or kernels[last].kind != "contract":
        return None
    for scores in both_ways(kernels[first]):
        for values in both_ways(kernels[last]):
            if same_rows(scores, score["view"], kernels[middle], weight, values):
                return Trio(first, middle, last, scores, values, score, weight, frozenset())
    return None


def only_store(kernel: Kernel) -> Inst | None:
    """That of a contraction which stores one tensor of floats, unchecked."""
    stores = [inst for inst in kernel.body if inst.op == "store"]
    plain = kernel.kind == "contract" and len(stores) == 1 and is_plain(stores[0])
    return stores[0] if plain else None


def is_plain(store: Inst) -> bool:
    return store.dtype == "f32" and store["flag"] < 0


def both_ways(kernel: Kernel) -> Iterator[Contraction]:
    form = normal_form(kernel)
    if {name for name, _ in kernel.body[form.product].attrs} == PLAIN:
        yield form
        yield form.swapped()


def same_rows(scores: Contraction, score: View, middle: Kernel, weight: Inst, values: Contraction) -> bool:
    """Whether a row is one position of batch and m in both contractions, and all of the middle's last axis."""
    rows, kept = rows_of(middle, score), weight["view"]
    if rows is None or not is_plain(weight) or not same_place(kept, values.a) or values.b.buffer == kept.buffer:
        return False
    keys = walk_of(scores.n, score)
    batch, m = walk_of(scores.batch, score), walk_of(scores.m, score)
    return (
        bool(batch)
        and keys == ((middle.axes[-1].size, 1),)
        and len(scores.n) == len(values.ka) == 1
        and tuple((e.size, e.a) for e in values.ka) == keys
        and own_walk(middle, kept) == own_walk(middle, rows)
        and is_dense((*batch, *m, *keys))
        and is_dense(own_walk(middle, rows))
        and merged(sorted_walk(batch)) == merged(sorted_walk((e.size, e.a) for e in values.batch if e.size > 1))
        and merged(m) == merged((e.size, e.a) for e in values.m if e.size > 1)
    )


def rows_of(middle: Kernel, score: View) -> View | None:
    """How the middle walks what `score` wrote, if it does in one way, element by element."""
    loads = [inst for inst in middle.body if inst.op == "load" and inst["view"].buffer == score.buffer]
    views = {inst["view"] for inst in loads}
    if len(views) != 1 or any(inst.args for inst in loads) or middle.axes_of("row") != [len(middle.axes) - 1]:
        return None
    (view,) = views
    return view if same_place(view, score) else None


def same_place(some: View, other: View) -> bool:
    return (some.buffer, some.offset, some.turns) == (other.buffer, other.offset, other.turns)


def walk_of(extents: Iterable[Extent], view: View) -> Walk:
    return tuple((e.size, view.strides[e.axis]) for e in extents if e.size > 1)


def own_walk(kernel: Kernel, view: View) -> Walk:
    pairs = zip(kernel.axes, view.strides, strict=True)
    return tuple((axis.size, stride) for axis, stride in pairs if axis.size > 1)


def sorted_walk(walk: Iterable[tuple[int, int]]) -> Walk:
    """From the widest step to the narrowest."""
    return tuple(sorted(walk, key=lambda axis: -axis[1]))


def merged(walk: Iterable[tuple[int, int]]) -> Walk:
    """The same positions in the same order with as few axes as can be."""
    found: list[tuple[int, int]] = []
    for length, stride in walk:
        if found and found[-1][1] == length * stride:
            length *= found.pop()[0]
        found.append((length, stride))
    return tuple(found)


def is_dense(walk: Walk) -> bool:
    """Whether its positions are the elements of a tensor without gaps, each once."""
    ordered = sorted_walk(walk)
    return ordered[-1][1] == 1 and all(a[1] == b[0] * b[1] for a, b in pairwise(ordered))


# ---- whether nothing is in the way


def is_movable(
    trio: Trio, calls: Steps, order: Mapping[int, int], kernels: Sequence[Kernel], buffers: tuple[Buffer, ...]
) -> bool:
    """Whether all three may run where the last one stands, and at once."""
    at, there, end = (order[kernel] for kernel in trio.kernels)
    if any(isinstance(step, Turns) for step in calls[at:end]):
        return False
    first, middle, last = (own_spans(trio, number, kernels[number], buffers) for number in trio.kernels)
    before = of_calls(calls[at + 1 : there], kernels, buffers)
    behind = of_calls(calls[there + 1 : end], kernels, buffers)
    return not (meet_inside(first, middle, last) or first.meets(before) or (first | middle).meets(behind))


def own_spans(trio: Trio, number: int, kernel: Kernel, buffers: tuple[Buffer, ...]) -> Spans:
    """What one of the three reads and writes in memory when they are one."""
    read, written = spans(kernel, buffers, trio.between), spans(kernel, buffers, trio.unseen)
    return Spans(read.reads, written.writes)


def meet_inside(first: Spans, middle: Spans, last: Spans) -> bool:
    """Whether one group of rows overwrites what another one reads or writes."""
    made, read = first.writes | middle.writes, first.reads | middle.reads
    return overlap(made, read | last.reads) or overlap(first.writes, middle.writes) or overlap(last.writes, made | read)


def of_calls(calls: Steps, kernels: Sequence[Kernel], buffers: tuple[Buffer, ...]) -> Spans:
    found = NOTHING
    for step in calls:
        if not isinstance(step, Barrier):
            assert isinstance(step, Call)
            found |= spans(kernels[step.kernel], buffers)
    return found
