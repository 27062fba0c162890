"""Verification: a receipt's claim, computed again.

Takes: a receipt's file, the store, a backend. Promises: ACCEPT only after a full replay from the job and its
data in which every field came out the same, and what lies beside the receipt matched too; of a sample,
ACCEPT-SAMPLED; of a run on another class of devices, CONSISTENT at most; any other verdict says where. Nothing
that the prover declared is believed. A data shard that is there but changed is a DataError naming it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from jobspec.ir.classes import claim
from jobspec.ir.codec.receipt import SIZE, Receipt, ReceiptFormatError, decode_receipt
from jobspec.ir.contract import PROFILES
from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.runtime.course import Course, TrainingError
from jobspec.runtime.folder import RunFolder
from jobspec.runtime.reporter import Reporter, Silent
from jobspec.runtime.stops import looks_of
from jobspec.store.files import explained
from jobspec.store.home import Home
from jobspec.verify import beside
from jobspec.verify.across import AcrossClasses
from jobspec.verify.claims import differing_fields, find_job, no_receipt
from jobspec.verify.compare import differing
from jobspec.verify.replaying import Means, course_of
from jobspec.verify.sampled import SampledReplay
from jobspec.verify.signing import NotSigned, signed_by
from jobspec.verify.verdict import MALFORMED, REJECT, UNVERIFIABLE, Findings, Verdict

#: the store's codes for data that is not here, as against data that is not right
MISSING = frozenset({"E0401", "E0403", "E0440"})


def verify(path: Path, means: Means, reporter: Reporter | None = None) -> Verdict:
    """The verdict on the receipt in the file `path`. Raises UsageError where there is no such file, DataError
    for a changed data shard."""
    try:
        receipt = decode_receipt(_read(path, means.home))
    except ReceiptFormatError as error:
        return Verdict(MALFORMED, (f"{path} is not a receipt: {error}",))
    if means.signer is None:
        return _found(receipt, path, means, reporter)
    try:
        signed = signed_by(path, means.signer)
    except NotSigned as unsigned:
        return Verdict(REJECT, (str(unsigned),))
    verdict = _found(receipt, path, means, reporter)
    return replace(verdict, checked=(f"signed by {means.signer} (key {signed[:12]})", *verdict.checked))


def _found(receipt: Receipt, path: Path, means: Means, reporter: Reporter | None) -> Verdict:
    """The verdict on a receipt, with the job looked for."""
    folder = RunFolder(path.absolute().parent, means.home.files)
    job, troubles = (means.job, []) if means.job else find_job(receipt, folder, means.home)
    if job is None:
        missing = f"the job {receipt.job} is not known here: give its file with --job"
        return Verdict(UNVERIFIABLE, (missing, *troubles))
    return _judge(receipt, job, folder, means, reporter or Silent())


def _read(path: Path, home: Home) -> bytes:
    if not path.is_file():
        raise no_receipt(path)
    with explained("read", path):
        return home.files.read(path, SIZE + 1)


def _judge(receipt: Receipt, job: Job, folder: RunFolder, means: Means, reporter: Reporter) -> Verdict:
    wrong = tuple(differing_fields(receipt, job))
    if wrong:
        return Verdict(REJECT, wrong)
    if job.profile not in PROFILES:
        return Verdict(UNVERIFIABLE, (f"the profile {job.profile} is not known to this version",))
    if not receipt.closed:
        return Verdict(UNVERIFIABLE, (f"the chain is open: only {receipt.steps} of {job.steps} steps are claimed",))
    try:
        return _replay(receipt, job, folder, means, reporter)
    except DataError as error:
        if error.code in MISSING:
            return Verdict(UNVERIFIABLE, (error.reason,))
        raise


def _replay(receipt: Receipt, job: Job, folder: RunFolder, means: Means, reporter: Reporter) -> Verdict:
    with course_of(job, folder, means) as course:
        if receipt.profile != claim(job.profile, course.plan.target):
            return AcrossClasses(receipt, course, folder, reporter, means.sample).verdict()
        if means.sample is not None:
            return SampledReplay(receipt, course, folder, reporter, means.sample).verdict()
        return Replay(receipt, course, folder, reporter).verdict()


class Replay:
    """One receipt's replay in one session."""

    def __init__(self, receipt: Receipt, course: Course, folder: RunFolder, reporter: Reporter) -> None:
        self.receipt, self.course, self.folder, self.reporter = receipt, course, folder, reporter
        self.history = beside.history_beside(folder)
        self.claimed = beside.claimed_records(self.history, receipt)
        self.findings = Findings()

    def verdict(self) -> Verdict:
        start = self.course.begin()
        if start != self.receipt.start:
            reason = f"`start`: the receipt says {self.receipt.start}, the initial state is {start}"
            return Verdict(REJECT, (reason,))
        self.reporter.begin(self.course.job, 0)
        try:
            early = self._steps()
        finally:
            self.reporter.end()
        if early:
            return Verdict(REJECT, (early,))
        self._compare_end()
        self._compare_beside()
        return self.findings.verdict()

    def _steps(self) -> str | None:
        """Run to the end; a difference that makes the rest pointless."""
        job, number = self.course.job, 0
        try:
            for portion in self.course.portions(looks_of(job, job.steps, records_only=True)):
                self.reporter.progress(self.course.chain.done, portion.last)
                if portion.look:
                    difference = self._record(number)
                    number += 1
                    if difference:
                        return difference
        except TrainingError as error:
            return f"the job cannot be trained to its end: {error.reason}"
        return None

    def _record(self, number: int) -> str | None:
        """Close a record and compare it with the one that the log claims."""
        before = self.course.chain.step
        found = self.course.record(self.course.root())
        if number >= len(self.claimed) or found == self.claimed[number]:
            return None
        what = ", ".join(f"`{name}`" for name in differing(found, self.claimed[number]))
        return f"step record {number} (steps {before} … {found.step - 1}) is the first that differs, in {what}"

    def _compare_end(self) -> None:
        chain, receipt = self.course.chain, self.receipt
        for field, said, came in (("end", receipt.end, chain.state), ("chain", receipt.chain, chain.link)):
            if said != came:
                self.findings.differences.append(f"`{field}`: the receipt says {said}, the replay came to {came}")
        if not self.findings.differences:
            self.findings.agreements.append(f"{receipt.steps} steps replayed, to the state {receipt.end}")

    def _compare_beside(self) -> None:
        state, job = self.course.state(), self.course.job
        saved = beside.last_checkpoint(self.history, self.receipt)
        beside.check_weights(self.folder, job, self.receipt, state, self.findings)
        beside.check_checkpoint(self.folder, saved, state, self.findings)
