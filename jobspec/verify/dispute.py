"""Two runs of one job that came to different receipts: where they part, and who is wrong.

Takes: two runs' folders, the job, its data. Promises: neither side is believed. The first step record that differs is
found by bisection; in it the first step, and in that the first operation and element, as far as both sides
made traces; without them the referee computes the segment once itself and says whose record does not follow.

    receipts → step record → step → operation → element
"""

from __future__ import annotations

from dataclasses import dataclass

from jobspec.ir.digest import Digest
from jobspec.ir.errors import UsageError
from jobspec.ir.job import Job
from jobspec.verify.claims import differing_fields
from jobspec.verify.compare import differing, first_difference
from jobspec.verify.judge import Found, Judge, Side, picking
from jobspec.verify.narrow import Rounds
from jobspec.verify.party import Bound, Broken, Party, Unkept, need_bound, root
from jobspec.verify.referee import Batch, judged
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.segments import Segment, segments
from jobspec.verify.tracefile import StepTrace
from jobspec.verify.tracing import program_of

Pair = tuple[Party, Party]


@dataclass(frozen=True)
class Settlement:
    """`wrong`: names of the sides whose claim does not follow from the job; none where the receipts are equal.
    `where`: sentences from the outside in. `step`: of the run, from 0; `rounds`: questions put to both sides."""

    wrong: tuple[str, ...]
    where: tuple[str, ...]
    rounds: int
    record: int | None = None
    step: int | None = None
    operation: str | None = None
    element: tuple[int, ...] | None = None

    def __str__(self) -> str:
        verdict = f"wrong: {' and '.join(self.wrong)}" if self.wrong else "no difference"
        rounds = f"{self.rounds} round{'s' * (self.rounds != 1)}"
        return "\n".join([verdict, *(f"  {line}" for line in [*self.where, rounds])])


def settle(sides: Pair, job: Job, means: Means) -> Settlement:
    """Raises UsageError E0845 for receipts of different jobs, DataError where data is missing."""
    if sides[0].receipt.job != sides[1].receipt.job:
        told = (f"{side.name} is a run of the job {side.receipt.job.short}" for side in sides)
        reason = ", ".join(told)
        raise UsageError("E0845", reason, help="`jobspec diff` says in what two jobs differ")
    return Dispute(sides, job, means).settle()


class Dispute:
    """One dispute; `means`: what the referee computes with."""

    def __init__(self, sides: Pair, job: Job, means: Means) -> None:
        self.sides, self.job, self.means = sides, job, means
        self.rounds = Rounds()
        self.record: int | None = None
        self.step: int | None = None

    def settle(self) -> Settlement:
        try:
            found = self._receipts() or self._start() or self._records()
        except Broken as broken:
            found = Found((broken.side.name,), (broken.reason,))
        return Settlement(
            found.wrong, found.where, self.rounds.asked, self.record, self.step, found.operation, found.element
        )

    # ---- receipts

    def _receipts(self) -> Found | None:
        self.rounds.asked += 1
        receipts = [side.receipt for side in self.sides]
        if receipts[0] == receipts[1]:
            return Found((), ("both receipts are the same",))
        wrong = {side.name: list(differing_fields(side.receipt, self.job)) for side in self.sides}
        names = tuple(name for name, reasons in wrong.items() if reasons)
        return Found(names, tuple(f"{n}: {reason}" for n in names for reason in wrong[n])) if names else None

    def _start(self) -> Found | None:
        """Whether the sides begin with the same state."""
        starts = [side.receipt.start for side in self.sides]
        if starts[0] == starts[1]:
            return None
        with course_of(self.job, self.sides[0].folder, self.means) as course:
            right = course.begin()
        wrong = tuple(side.name for side in self.sides if side.receipt.start != right)
        return Found(wrong, (f"the initial state is {right}",))

    # ---- step records

    def _records(self) -> Found:
        for side in self.sides:
            side.need_records(self.job)
        one, other = self.sides
        number = self.rounds.first_difference(len(one.records), one.links, other.links)
        assert number is not None, "receipts of equal fields differ in their chains"
        self.record = number
        segment = list(segments(one.receipt, one.records))[number]
        last = segment.record.step - 1
        parts = ", ".join(f"`{name}`" for name in differing(one.records[number], other.records[number]))
        where = f"step record {number} (steps {segment.chain.done} … {last}) is the first that differs, in {parts}"
        found = self._segment(segment)
        return Found(found.wrong, (where, *found.where), found.operation, found.element)

    def _segment(self, segment: Segment) -> Found:
        """The first differing step by the sides' traces, or by the referee's own."""
        one, other = (side.segment(segment) for side in self.sides)
        if one is None or other is None:
            return judged(self.sides, self.job, self.means, segment)
        count = segment.steps
        at = self.rounds.first_difference(count, picking(one.links), picking(other.links))
        assert at is not None, "traces lead to records that differ"
        self.step = segment.chain.done + at
        before = one.states[at - 1] if at else segment.chain.state
        bounds = [Bound(before, trace.states[at], trace.reports[at]) for trace in (one, other)]
        return self._step(segment, self.step, (bounds[0], bounds[1]))

    # ---- one step

    def _step(self, segment: Segment, step: int, bounds: tuple[Bound, Bound]) -> Found:
        traces = [side.step(step) for side in self.sides]
        if traces[0] is None or traces[1] is None:
            return judged(self.sides, self.job, self.means, segment)
        try:
            return self._traced((traces[0], traces[1]), step, bounds)
        except Unkept as unkept:
            found = judged(self.sides, self.job, self.means, segment)
            return Found(found.wrong, (str(unkept), *found.where), found.operation, found.element)

    def _traced(self, traces: tuple[StepTrace, StepTrace], step: int, bounds: tuple[Bound, Bound]) -> Found:
        """By both sides' traces. Raises Broken; Unkept where a value is needed that a trace was made without."""
        program = program_of(self.job, step)
        sides = (Side(self.sides[0], traces[0]), Side(self.sides[1], traces[1]))
        for side, bound in zip(sides, bounds, strict=True):
            need_bound(side.party, side.trace, self.job, program, bound)
        found = self._before(sides, bounds[0].before)
        if found is None:
            found = Judge(sides, self.rounds, Batch(self.job, self.sides[0], self.means, step)).settle(
                program, f"step {step}"
            )
        assert found is not None, "traces of one program lead to states that differ"
        return found

    def _before(self, sides: tuple[Side, Side], agreed: Digest) -> Found | None:
        """Whether each side's step begins with the state that both ended the last one with."""
        self.rounds.asked += 1
        names = [slot.name for slot in self.job.state]
        states = [dict(zip(names, side.trace.state, strict=True)) for side in sides]
        wrong = [i for i in range(len(sides)) if root(self.job, states[i]) != agreed]
        if not wrong:
            return None
        step = sides[0].trace.step
        lines = [
            f"step {step}: {sides[i].party.name} begins with another state than the step before left" for i in wrong
        ]
        name = next((n for n in names if states[0][n] != states[1][n]), None)
        if len(wrong) == 1 and name is not None:
            type = self.job.slot(name).type
            shown = [side.value(state[name], type) for side, state in zip(sides, states, strict=True)]
            good, bad = shown[1 - wrong[0]], shown[wrong[0]]
            lines.append(first_difference({name: good}, {name: bad}) or "")
        return Found(tuple(sides[i].party.name for i in wrong), tuple(lines), "state")
