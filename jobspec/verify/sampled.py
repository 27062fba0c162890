"""Verification of samples: some segments of a run, each replayed from the state that the chain commits to there.

Takes: a receipt whose records lie beside it, a challenge, a course that stands nowhere. Promises: ACCEPT-SAMPLED
only if the initial state is the job's, the records are where the job puts them and lead to the receipt, and every
drawn segment closes with the record that is claimed. A state comes from a committed checkpoint whose bytes
hash to the chain's root; where there is none it is computed from the one before.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import groupby

from jobspec.ir.codec.receipt import Receipt, encode_receipt
from jobspec.runtime.course import Course, TrainingError
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.reporter import Reporter
from jobspec.runtime.stops import looks_of
from jobspec.verify import beside
from jobspec.verify.challenge import draw
from jobspec.verify.compare import differing
from jobspec.verify.segments import Committed, Segment, committed, misplaced, segments, tensors_of
from jobspec.verify.verdict import ACCEPT_SAMPLED, REJECT, UNVERIFIABLE, Findings, Verdict


@dataclass(frozen=True)
class Sample:
    """`count` segments, drawn with 32 bytes of the verifier's own."""

    count: int
    challenge: bytes


class SampledReplay:
    """One receipt's sample in one session."""

    def __init__(self, receipt: Receipt, course: Course, folder: RunFolder, reporter: Reporter, sample: Sample) -> None:
        self.receipt, self.course, self.folder, self.reporter = receipt, course, folder, reporter
        self.history = beside.history_beside(folder)
        self.records = beside.claimed_records(self.history, receipt)
        self.segments = list(segments(receipt, self.records))
        self.sample, self.findings, self.replayed = sample, Findings(), 0

    def verdict(self) -> Verdict:
        if not self.records:
            reason = "no log with step records that lead to the receipt's chain lies beside it"
            return Verdict(UNVERIFIABLE, (f"{reason}: without `--sample` none is needed",))
        trouble = misplaced(self.course.job, self.receipt, self.records) or self._begin()
        if trouble:
            return Verdict(REJECT, (trouble,))
        drawn = draw(encode_receipt(self.receipt), self.sample.challenge, self.sample.count, len(self.segments))
        self.reporter.begin(self.course.job, 0)
        try:
            trouble = self._all([self.segments[number] for number in drawn])
        finally:
            self.reporter.end()
        if trouble:
            return Verdict(REJECT, (trouble,))
        self._compare_weights()
        return self._accepted(len(drawn))

    def _begin(self) -> str | None:
        start = self.course.begin()
        same = start == self.receipt.start
        return None if same else f"`start`: the receipt says {self.receipt.start}, the initial state is {start}"

    def _all(self, drawn: list[Segment]) -> str | None:
        """Replay them in order; the first difference."""
        saved = self.history.saved if self.history else []
        there = committed(self.folder, saved, [s.chain for s in self.segments])
        for segment in drawn:
            self._go_near(segment, there)
            trouble = self._replay(segment)
            if trouble:
                return trouble
        return None

    def _go_near(self, segment: Segment, there: list[Committed]) -> None:
        """Take the newest committed state up to the segment, if it is newer than where the course stands."""
        end = bisect_right(there, segment.chain.done, key=lambda c: c.chain.done)
        for found in reversed(there[:end]):
            if found.chain.done <= self.course.chain.done:
                return
            tensors = tensors_of(self.folder, found)
            if tensors is not None:
                self.course.restore(found.chain, tensors)
                return

    def _replay(self, segment: Segment) -> str | None:
        """Run on to the segment's end, comparing every record on the way."""
        first = self.course.chain.done
        try:
            for portion in self.course.portions(looks_of(self.course.job, segment.record.step, records_only=True)):
                self.reporter.progress(self.course.chain.done, portion.last)
                trouble = self._record() if portion.look else None
                if trouble:
                    return trouble
        except TrainingError as error:
            return f"the claimed steps cannot be trained: {error.reason}"
        self.replayed += segment.record.step - first
        return None

    def _record(self) -> str | None:
        chain = self.course.chain
        found = self.course.record(self.course.root())
        claimed = next(s for s in self.segments if s.record.step == found.step)
        if found == claimed.record:
            return None
        what = ", ".join(f"`{name}`" for name in differing(found, claimed.record))
        return f"step record {claimed.number} (steps {chain.step} … {found.step - 1}) differs, in {what}"

    def _compare_weights(self) -> None:
        """The weights beside the receipt against the checkpoint that holds its end state, where there is one."""
        saved = beside.last_checkpoint(self.history, self.receipt)
        border = self.segments[-1].record
        if saved is None or saved.chain.state != border.after:
            return
        ends = committed(self.folder, [saved], [saved.chain])
        tensors = tensors_of(self.folder, ends[0]) if ends else None
        if tensors is not None:
            beside.check_weights(self.folder, self.course.job, self.receipt, tensors, self.findings)

    def _accepted(self, count: int) -> Verdict:
        if self.findings.differences:
            return Verdict(REJECT, tuple(self.findings.differences))
        among, steps = len(self.segments), self.receipt.steps
        said = [
            f"{count} of {among} segments, {runs([s.record.step for s in self.segments], steps)}",
            f"{self.replayed} of {steps} steps replayed",
            f"challenge {self.sample.challenge.hex()}",
        ]
        return Verdict(ACCEPT_SAMPLED, (), (*said, *self.findings.agreements))


def runs(ends: list[int], steps: int) -> str:
    """How long segments are, in words."""
    lengths = [b - a for a, b in zip([0, *ends], ends, strict=False)]
    return ", ".join(f"{len(list(group))} of {size} steps" for size, group in groupby(sorted(lengths)))
