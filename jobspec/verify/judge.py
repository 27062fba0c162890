"""Two traces of one step that differ: to the operation, to the element, to who is wrong.

Takes: both sides with their traces of the step, what the step is given. Promises: the first entry in which they
differ is found by bisection, into loops turn by turn; its operands agree, so the referee computes the one element, or
the one input, from them. A side whose value is another than that is wrong, whoever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobspec.backends.reference.meaning import results_of
from jobspec.backends.reference.numbers import Array
from jobspec.ir.digest import Digest, blob_digest
from jobspec.ir.program import Node, Program, body_of
from jobspec.ir.text import node_lines
from jobspec.ir.types import Type
from jobspec.store.dtypes import raw_bytes, stored
from jobspec.verify.compare import first_element, shown
from jobspec.verify.element import element
from jobspec.verify.follow import turns_of
from jobspec.verify.frames import Frame, linked, steps_of
from jobspec.verify.narrow import Rounds
from jobspec.verify.party import Broken, Party, Unkept
from jobspec.verify.tracefile import StepTrace


@dataclass(frozen=True)
class Found:
    """Who is wrong, and where: sentences from the outside in."""

    wrong: tuple[str, ...]
    where: tuple[str, ...]
    operation: str | None = None
    element: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Side:
    """A party and its trace of the step."""

    party: Party
    trace: StepTrace

    def value(self, name: Digest, type: Type) -> Array:
        return self.party.value(self.trace, name, type)


@dataclass(frozen=True)
class Level:
    """A program under dispute: the step's, or a loop's body in one turn. `frames`: both sides'; `given`: the digest
    that input number i must have, by rights; `path`: where it is."""

    program: Program
    frames: tuple[Frame, Frame]
    given: Callable[[int], Digest]
    path: tuple[str, ...]


class Judge:
    """One step's dispute. `batch`: what the step is given by rights besides the state, by name."""

    def __init__(self, sides: tuple[Side, Side], rounds: Rounds, batch: Mapping[str, Array]) -> None:
        self.sides, self.rounds, self.batch = sides, rounds, batch

    def settle(self, program: Program, where: str) -> Found | None:
        """None where the traces are the same."""
        frames = (self.sides[0].trace.frame, self.sides[1].trace.frame)
        return self._level(Level(program, frames, lambda i: self._input(program.inputs[i]), (where,)))

    def _input(self, node: Node) -> Digest:
        """What an input of the step must be. The state is agreed, so what is asked for is of the batch."""
        return digest_of(self.batch[node["name"]])

    def _level(self, level: Level) -> Found | None:
        one, other = level.frames
        nodes = steps_of(level.program)
        for side, frame in zip(self.sides, level.frames, strict=True):
            if len(frame.entries) != len(nodes):
                raise Broken(side.party, f"its trace is not of the job's program, {', '.join(level.path)}")
        at = self.rounds.first_difference(len(nodes), picking(one.links), picking(other.links))
        if at is None:
            return None
        node = nodes[at]
        if at < len(level.program.inputs):
            wanted = level.given(at)
            name = node["name"] if not level.path[1:] else f"input {at} of the loop's body"
            return self._told(level, f"what it is given as `{name}`", wanted, self._values(level, at, 0))
        if node.op == "loop":
            return self._loop(level, nodes, at)
        return self._operation(level, nodes, at)

    def _values(self, level: Level, at: int, result: int) -> tuple[Digest, Digest]:
        one, other = (frame.entries[at].values for frame in level.frames)
        return one[result], other[result]

    def _told(self, level: Level, what: str, wanted: Digest, said: tuple[Digest, Digest]) -> Found:
        """A finding by digest alone."""
        wrong = [s.party.name for s, value in zip(self.sides, said, strict=True) if value != wanted]
        return Found(tuple(wrong), (*level.path, f"{what} is {wanted.short} by rights"), what)

    # ---- loops

    def _loop(self, level: Level, nodes: list[Node], at: int) -> Found:
        loop = nodes[at]
        entries = [frame.entries[at] for frame in level.frames]
        for side, entry in zip(self.sides, entries, strict=True):
            if len(entry.turns) != loop["count"] or len(entry.values) != len(results_of(loop)):
                raise Broken(side.party, f"its trace has not {loop['count']} turns of a loop, {', '.join(level.path)}")
        links = [linked([turn.links[-1].raw for turn in entry.turns]) for entry in entries]
        turn = self.rounds.first_difference(loop["count"], picking(links[0]), picking(links[1]))
        if turn is None:
            return self._assembly(level, nodes, at)
        place = f"operation {number_of(loop, nodes)} (a loop), turn {turns_of(loop)[turn]}"
        frames = (entries[0].turns[turn], entries[1].turns[turn])
        body = Level(body_of(loop), frames, lambda i: self._given(level, nodes, at, turn, i), (*level.path, place))
        found = self._level(body)
        assert found is not None, "links differ, so an entry does"
        return found

    def _given(self, level: Level, nodes: list[Node], at: int, turn: int, number: int) -> Digest:
        """What input `number` of a loop's body is by rights: everything before this turn is agreed."""
        loop, place = nodes[at], number - 1
        carried, cuts = loop["carried"], loop["carried"] + loop["sliced"]
        if number == 0:
            return digest_of(np.array(turns_of(loop)[turn], np.int32))
        if place < carried and turn > 0:
            return self._left(level, nodes, at, turn - 1, place)
        operand = loop.args[place]
        agreed = level.frames[0].entries[nodes.index(operand)].values[0]
        if carried <= place < cuts:
            return digest_of(self._open(agreed, operand.type)[turns_of(loop)[turn]])
        return agreed

    def _left(self, level: Level, nodes: list[Node], at: int, turn: int, result: int) -> Digest:
        """What the body gave as `result` in an agreed turn."""
        body = body_of(nodes[at])
        frame = level.frames[0].entries[at].turns[turn]
        return frame.entries[steps_of(body).index(body.results[result])].values[0]

    def _assembly(self, level: Level, nodes: list[Node], at: int) -> Found:
        """All turns agree, and the loop's results do not: each is what the turns left."""
        loop = nodes[at]
        for result, type in enumerate(results_of(loop)):
            said = self._values(level, at, result)
            if said[0] != said[1]:
                what = f"result {result} of operation {number_of(loop, nodes)} (a loop)"
                return self._told(level, what, self._assembled(level, nodes, at, result, type), said)
        raise AssertionError("entries differ, so a result does")

    def _assembled(self, level: Level, nodes: list[Node], at: int, result: int, type: Type) -> Digest:
        loop = nodes[at]
        order = turns_of(loop)
        if result < loop["carried"]:
            return self._left(level, nodes, at, len(order) - 1, result)
        inner = Type(type.dtype, type.shape[1:])
        parts = {turn: self._open(self._left(level, nodes, at, n, result), inner) for n, turn in enumerate(order)}
        return digest_of(np.stack([parts[turn] for turn in range(len(order))]))

    # ---- operations

    def _operation(self, level: Level, nodes: list[Node], at: int) -> Found:
        node = nodes[at]
        said = self._values(level, at, 0)
        if node.op == "get":
            agreed = level.frames[0].entries[nodes.index(node.args[0])].values[node["index"]]
            return self._told(level, f"operation {line_of(node, nodes)}", agreed, said)
        operands = [self._operand(level, nodes, argument) for argument in node.args]
        one, other = (side.value(value, node.type) for side, value in zip(self.sides, said, strict=True))
        index = first_element(one, other)
        assert index is not None, "digests differ, so the bytes do"
        right = element(node, operands, index)
        values = [np.asarray(one[index]), np.asarray(other[index])]
        names = [side.party.name for side in self.sides]
        wrong = [n for n, v in zip(names, values, strict=True) if v.tobytes() != right.tobytes()]
        told = ", ".join(f"{name} has {value}" for name, value in zip(names, map(shown, values), strict=True))
        where = f"element {list(index)}: {told}, by its operands it is {shown(right)}"
        return Found(tuple(wrong), (*level.path, f"operation {line_of(node, nodes)}", where), node.op, index)

    def _operand(self, level: Level, nodes: list[Node], operand: Node) -> Array:
        return self._open(level.frames[0].entries[nodes.index(operand)].values[0], operand.type)

    def _open(self, name: Digest, type: Type) -> Array:
        """An agreed value, from whichever side shows it."""
        try:
            return self.sides[0].value(name, type)
        except (Broken, Unkept):
            return self.sides[1].value(name, type)


def picking(links: Sequence[Digest]) -> Callable[[Sequence[int]], list[Digest]]:
    return lambda places: [links[place] for place in places]


def digest_of(value: Array) -> Digest:
    return blob_digest(raw_bytes(stored(np.asarray(value))))


def number_of(node: Node, nodes: list[Node]) -> str:
    return f"%{nodes.index(node)}"


def line_of(node: Node, nodes: list[Node]) -> str:
    """The operation as `jobspec show --ir` prints it."""
    return next(node_lines(node, {n: i for i, n in enumerate(nodes)}, ""))
