"""A program evaluated with the reference semantics, every operation's value hashed.

Takes: a program, an array per input. Promises: the results that the reference backend gives, and the frame of them;
`keep` sees the bytes of every value with its digest. A NaN has the contract's bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jobspec.backends.reference.meaning import MEANING, results_of, shaped
from jobspec.backends.reference.numbers import NUMPY, Array, canonical
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.program import Node, Program, body_of
from jobspec.store.dtypes import raw_bytes, stored
from jobspec.verify.frames import Entry, Frame, steps_of

Keep = Callable[[Digest, memoryview], None]


class Follower:
    """Evaluates one program after another."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    def program(self, program: Program, given: Sequence[Array]) -> tuple[list[Array], Frame]:
        """The values of the outputs and the trace; `given`: one array per input."""
        values: dict[Node, Any] = {}
        entries = []
        handed = dict(zip(program.inputs, given, strict=True))
        for node in steps_of(program):
            if node.op == "loop":
                values[node], entry = self._loop(node, [values[a] for a in node.args])
            else:
                values[node] = self._value(node, handed, values)
                entry = Entry((self.digest(values[node]),))
            entries.append(entry)
        return [values[node] for node in program.results], Frame(tuple(entries))

    def _value(self, node: Node, handed: dict[Node, Array], values: dict[Node, Any]) -> Array:
        if node in handed:
            return handed[node]
        with np.errstate(all="ignore"):
            found: Array = shaped(node, MEANING[node.op](node, *(values[a] for a in node.args)))
        return found

    def digest(self, value: Array) -> Digest:
        """The value's digest, kept."""
        data = raw_bytes(stored(canonical(value)))
        name = blob_digest(data)
        self._keep(name, data)
        return name

    def _loop(self, node: Node, operands: Sequence[Array]) -> tuple[tuple[Array, ...], Entry]:
        """As the reference's loop, with a frame per turn."""
        body, carried = body_of(node), node["carried"]
        cuts = carried + node["sliced"]
        state, sliced, shared = list(operands[:carried]), operands[carried:cuts], operands[cuts:]
        stacked = [np.empty(kind.shape, NUMPY[kind.dtype]) for kind in results_of(node)[carried:]]
        frames = []
        for turn in turns_of(node):
            results, frame = self.program(body, [np.array(turn, np.int32), *state, *(x[turn] for x in sliced), *shared])
            frames.append(frame)
            state = results[:carried]
            for stack, value in zip(stacked, results[carried:], strict=True):
                stack[turn] = value
        found = (*state, *stacked)
        return found, Entry(tuple(map(self.digest, found)), tuple(frames))


def turns_of(loop: Node) -> list[int]:
    """The turns in the order they are taken."""
    return list(range(loop["count"]))[:: -1 if loop["reverse"] else 1]
