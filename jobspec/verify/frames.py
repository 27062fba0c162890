"""The trace of a program: the digest of every operation's value, in program order, and what commits to them.

Takes: digests. Promises: a prefix digest binds all entries before it, so that two traces have one first place
where they differ, and few questions find it. A value's digest is the plain BLAKE3 of its bytes, which is also the
name of its blob and, for a tensor of state, the hash in the state root: whoever shows the bytes shows the value.

    entry   := [[digest of each result…], [turn…]]     turns: of a loop; an operation has none and one result
    turn    := the last link of the frame of the loop's body
    link 0  := digest "trace.start" of nothing          link i+1 := digest "trace" of [link i, entry i]
    frame   := the inputs in their order, then the operations in program order
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jobspec.ir.canonical import Value
from jobspec.ir.digest import Digest, digest, digest_value
from jobspec.ir.program import Node, Program
from jobspec.ir.record import RecordError, as_array, as_digest

#: loops in loops
DEPTH = 8


@dataclass(frozen=True)
class Entry:
    """One operation's results, one digest each; of a loop also a frame per turn, in the order they are taken."""

    values: tuple[Digest, ...]
    turns: tuple[Frame, ...] = ()

    def value(self) -> Value:
        return [[v.raw for v in self.values], [turn.value() for turn in self.turns]]

    def committed(self) -> Value:
        """What a link binds: digests, whatever the number of turns inside turns."""
        return [[v.raw for v in self.values], [turn.links[-1].raw for turn in self.turns]]


@dataclass(frozen=True)
class Frame:
    """One run of a program, or one turn of a loop's body."""

    entries: tuple[Entry, ...]

    @cached_property
    def links(self) -> tuple[Digest, ...]:
        return linked([entry.committed() for entry in self.entries])

    def value(self) -> Value:
        return [entry.value() for entry in self.entries]


def linked(items: Sequence[Value]) -> tuple[Digest, ...]:
    """Prefix digests: one before the first item, one after each."""
    links = [digest("trace.start", b"")]
    for item in items:
        links.append(digest_value("trace", [links[-1].raw, item]))
    return tuple(links)


def steps_of(program: Program) -> list[Node]:
    """The nodes that a frame's entries are of."""
    inputs = dict.fromkeys(program.inputs)
    return [*inputs, *(node for node in program.nodes() if node not in inputs)]


def read_frame(value: Value, depth: int = DEPTH) -> Frame:
    """Raises RecordError."""
    if depth == 0:
        raise RecordError("the trace has loops nested too deep")
    return Frame(tuple(_read_entry(entry, depth) for entry in as_array(value, "a frame")))


def _read_entry(value: Value, depth: int) -> Entry:
    values, turns = as_array(value, "an entry", 2)
    digests = tuple(as_digest(v, "a value") for v in as_array(values, "an entry's values"))
    return Entry(digests, tuple(read_frame(turn, depth - 1) for turn in as_array(turns, "an entry's turns")))
