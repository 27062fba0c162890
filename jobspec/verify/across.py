"""A receipt of another class of devices, looked at from here: what its sums came to elsewhere is near, not equal.

Takes: a receipt of a job in the profile `fast`, whose class is not this one's; a course that stands nowhere. Promises:
the initial state is computed, records are held against chain and job; of each segment whose two states lie beside the
receipt as checkpoints the steps are computed again from the first state, and each tensor must then be within
TOLERANCE of the second, measured by how far the segment moved it. That confirms no bit, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from jobspec.ir.classes import claimed_class, class_of
from jobspec.ir.codec.receipt import Receipt, encode_receipt
from jobspec.runtime.chain import Chain
from jobspec.runtime.course import Course, TrainingError
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.reporter import Reporter
from jobspec.runtime.stops import looks_of
from jobspec.store.dtypes import Array
from jobspec.verify import beside
from jobspec.verify.challenge import draw
from jobspec.verify.sampled import Sample
from jobspec.verify.segments import Committed, Segment, committed, misplaced, segments, tensors_of
from jobspec.verify.verdict import CONSISTENT, REJECT, UNVERIFIABLE, Verdict

#: part of its movement that a tensor may be away, in the Euclidean norm (docs/numerics.md 5.10)
TOLERANCE = 0.125


@dataclass(frozen=True)
class Stretch:
    """A segment with the states that are claimed at its ends; None for the initial state, which is computed."""

    segment: Segment
    first: Committed | None
    last: Committed


class AcrossClasses:
    """One receipt's segments in one session."""

    def __init__(
        self, receipt: Receipt, course: Course, folder: RunFolder, reporter: Reporter, sample: Sample | None
    ) -> None:
        self.receipt, self.course, self.folder, self.reporter = receipt, course, folder, reporter
        self.history, self.sample = beside.history_beside(folder), sample
        self.records = beside.claimed_records(self.history, receipt)

    def verdict(self) -> Verdict:
        trouble = misplaced(self.course.job, self.receipt, self.records) if self.records else None
        start = self.course.begin()
        if not trouble and start != self.receipt.start:
            trouble = f"`start`: the receipt says {self.receipt.start}, the initial state is {start}"
        if trouble:
            return Verdict(REJECT, (trouble,))
        stretches = self._drawn()
        if not stretches:
            return Verdict(UNVERIFIABLE, (f"{self._classes()}; no checkpoint at the end of a segment lies beside it",))
        self.reporter.begin(self.course.job, 0)
        try:
            return self._judged(stretches)
        except TrainingError as error:
            return Verdict(REJECT, (f"the claimed steps cannot be trained: {error.reason}",))
        finally:
            self.reporter.end()

    def _classes(self) -> str:
        here, there = class_of(self.course.plan.target), claimed_class(self.receipt.profile)
        return f"the run is of class {there}, this machine of class {here}: no bit can be confirmed here"

    def _drawn(self) -> list[Stretch]:
        """All stretches, or a sample of them."""
        found = list(self._stretches())
        if self.sample is None:
            return found
        drawn = draw(encode_receipt(self.receipt), self.sample.challenge, self.sample.count, len(found))
        return [found[number] for number in drawn]

    def _stretches(self) -> Iterator[Stretch]:
        parts, claimed = list(segments(self.receipt, self.records)), self.receipt
        end = Chain(claimed.start, claimed.chain, claimed.steps, claimed.end, claimed.steps)
        borders = [*(s.chain for s in parts[1:]), end]
        there = {c.chain.done: c for c in committed(self.folder, self.history.saved if self.history else [], borders)}
        for segment in parts:
            first, last = there.get(segment.chain.done), there.get(segment.record.step)
            if last is not None and (first is not None or segment.chain.done == 0):
                yield Stretch(segment, first, last)

    def _judged(self, stretches: list[Stretch]) -> Verdict:
        worst, steps = 0.0, 0
        for stretch in stretches:
            name, away = self._away(stretch)
            if not away <= TOLERANCE:
                where = f"steps {stretch.segment.chain.done} … {stretch.segment.record.step - 1}"
                reason = f"{where}: tensor `{name}` is {away:.3g} of its movement away, and {TOLERANCE} is allowed"
                return Verdict(REJECT, (reason,))
            worst, steps = max(worst, away), steps + stretch.segment.steps
        said = [self._classes(), f"{len(stretches)} of {len(self.records)} segments, {steps} steps computed again"]
        if self.sample is not None:
            said.append(f"challenge {self.sample.challenge.hex()}")
        return Verdict(CONSISTENT, (), (*said, f"no tensor is further than {worst:.3g} of its movement away"))

    def _away(self, stretch: Stretch) -> tuple[str, float]:
        """The tensor that is furthest away, and how far; a checkpoint whose bytes are not there is as far as can be."""
        before, after = (tensors_of(self.folder, c) if c else None for c in (stretch.first, stretch.last))
        if after is None or (stretch.first is not None and before is None):
            return "(a checkpoint that is damaged)", float("inf")
        if before is None:
            self.course.begin()
            before = self.course.state()
        else:
            self.course.restore(stretch.segment.chain, before)
        looks = looks_of(self.course.job, stretch.segment.record.step, records_only=True)
        for portion in self.course.portions(looks):
            self.reporter.progress(self.course.done, portion.last)
        return furthest(before, self.course.state(), after)


def furthest(before: Mapping[str, Array], wanted: Mapping[str, Array], found: Mapping[str, Array]) -> tuple[str, float]:
    """The tensor that is furthest from `wanted`, and how far."""
    distances = {name: distance(before[name], wanted[name], found[name]) for name in wanted}
    return max(distances.items(), key=lambda item: item[1])


def distance(before: Array, wanted: Array, found: Array) -> float:
    """|found - wanted| / |wanted - before|; what is no number, or moves where it should not, is as far as can be."""
    if not np.issubdtype(wanted.dtype, np.floating):
        return 0.0 if np.array_equal(wanted, found) else float("inf")
    apart = float(np.linalg.norm(np.subtract(found, wanted, dtype=np.float64).ravel()))
    moved = float(np.linalg.norm(np.subtract(wanted, before, dtype=np.float64).ravel()))
    if apart == 0.0:
        return 0.0
    return apart / moved if moved > 0 and np.isfinite(apart) else float("inf")
