"""Bytes that kernels read and write, and whether two kernels meet in them.

Takes: kernels, placed buffers. Promises: whole buffers are meant; two kernels that do not conflict may run in either
order, or at once. Nothing of any target.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer

#: space, first byte, the byte behind the last
Span = tuple[str, int, int]


@dataclass(frozen=True)
class Spans:
    """What some kernels read, and what they write."""

    reads: frozenset[Span]
    writes: frozenset[Span]

    def __or__(self, other: Spans) -> Spans:
        return Spans(self.reads | other.reads, self.writes | other.writes)

    def meets(self, other: Spans) -> bool:
        """Whether one writes what the other reads or writes."""
        return overlap(self.writes, other.reads | other.writes) or overlap(self.reads, other.writes)


NOTHING = Spans(frozenset(), frozenset())


def spans(kernel: Kernel, buffers: tuple[Buffer, ...], but: Collection[int] = ()) -> Spans:
    """Of one kernel; the buffers `but` are left out."""
    found: tuple[set[Span], set[Span]] = (set(), set())
    for view, written in kernel.views():
        if view.buffer not in but:
            buffer = buffers[view.buffer]
            found[written].add((buffer.space, buffer.offset, buffer.offset + buffer.type.nbytes))
    return Spans(frozenset(found[0]), frozenset(found[1]))


def overlap(some: Iterable[Span], others: Collection[Span]) -> bool:
    return any(s == o and a < d and c < b for s, a, b in some for o, c, d in others)
