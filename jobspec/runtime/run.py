"""A run: a compiled job trained to its end, or as far as it is let, in its folder.

Takes: a compiled job, its data, the store. Promises: the receipt at the end is the same whatever the backend,
the threads, the cadence of checkpoints, and however often and wherever the run was stopped and taken up;
whatever stops it, all work up to the last checkpoint is there to go on from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from jobspec.ir.classes import CONTRACT, class_of, is_class
from jobspec.ir.codec.job import encode_job
from jobspec.ir.contract import FAST_PROFILE
from jobspec.ir.errors import JobspecError
from jobspec.ir.job import Evaluation, Job
from jobspec.runtime import checkpoints
from jobspec.runtime.course import Course, Portion
from jobspec.runtime.engine import Compiled
from jobspec.runtime.events import Begun, Evaluated, Recorded, Stepped
from jobspec.runtime.folder import RunFolder, run_folder
from jobspec.runtime.forecast import machine_memory, memory_of, too_large
from jobspec.runtime.history import History
from jobspec.runtime.interrupts import Interrupts
from jobspec.runtime.journal import Journal, open_journal, read_history
from jobspec.runtime.outcome import Result, close_run, known_result, stopped_result
from jobspec.runtime.reporter import Reporter, Silent
from jobspec.runtime.saver import Saver
from jobspec.runtime.splits import Splits
from jobspec.runtime.start import Weights
from jobspec.runtime.stops import closes_record, due, looks_of
from jobspec.runtime.workers.trouble import Tainted
from jobspec.store.datasets import DataSet
from jobspec.store.files import sweep, write_file
from jobspec.store.home import Home


@dataclass(frozen=True)
class Order:
    """How to run: none of it can change a result. `until`: stop after so many steps; `again`: begin afresh
    even if the result is known."""

    threads: int
    until: int | None = None
    again: bool = False


def run(
    compiled: Compiled,
    open_data: Callable[[], Mapping[str, DataSet]],
    home: Home,
    order: Order,
    reporter: Reporter | None = None,
    weights: Weights | None = None,
) -> Result:
    """Run `compiled` from where the last run of this job got to. `open_data` gives its data sets by source name; it is
    not called where the result is known. `weights`: where to look for what the job begins with. Raises JobspecError:
    StoreError, DataError, E0502 and E0503 for a job that fails, E0504 where it is being run, E0511 for one
    that this machine's memory cannot hold."""
    folder = run_folder(home, compiled.job_hash)
    if not order.again and folder.log.is_file():
        history = read_history(folder)
        if history.finished is not None:
            return known_result(compiled, folder, history)
    need_memory(compiled)
    data = open_data()
    with open_journal(folder) as journal:
        session = compiled.open(order.threads, home.cache)
        try:
            course = Course(compiled.job, compiled.job_hash, compiled.plan, session, data, weights or Weights(home))
            return Run(compiled, course, folder, journal, order, reporter or Silent()).go()
        except Tainted as wrong:
            checkpoints.forget(journal, wrong.since)
            raise
        finally:
            session.close()


def need_memory(compiled: Compiled) -> None:
    """Raises E0511 before anything is begun that cannot be held."""
    memory, limit = memory_of(compiled.job, compiled.plan), machine_memory()
    if compiled.backend.on_host and memory.peak > limit:
        raise too_large(memory, limit, "`jobspec plan` says what takes it, and what would fit")


class Run:
    """One process's part of a run; it holds the journal."""

    def __init__(
        self,
        compiled: Compiled,
        course: Course,
        folder: RunFolder,
        journal: Journal,
        order: Order,
        reporter: Reporter,
    ) -> None:
        self.compiled, self.course, self.folder = compiled, course, folder
        self.journal, self.order, self.reporter = journal, order, reporter
        job = compiled.job
        self.splits = Splits()
        self.saver = Saver(folder, journal, compiled.job_hash, job.keep, job.milestones, self._recorded_up_to)

    @property
    def job(self) -> Job:
        return self.compiled.job

    @property
    def history(self) -> History:
        return self.journal.history

    def go(self) -> Result:
        """Run to the end, to `until`, or to a signal."""
        self._take_up()
        self.splits.at(self.course.done)
        with Interrupts() as interrupts:
            self.reporter.begin(self.job, self.course.done)
            try:
                with self.course.state_roots, self.saver:
                    self._train(interrupts)
            finally:
                self.reporter.end()
            if self.course.done < self.job.steps:
                return stopped_result(self.compiled, self.course, self.folder, self.history, interrupts.asked)
            return close_run(self.compiled, self.course, self.folder, self.journal, self.order.threads, self.splits)

    def _take_up(self) -> None:
        """Go on from the newest whole checkpoint, or begin."""
        self._need_class()
        write_file(self.folder.files, self.folder.job, [encode_job(self.job)])
        sweep(self.folder.files, self.folder.path)
        if self.journal.cut:
            self.reporter.note(f"the run log ended in {self.journal.cut} torn bytes, which are cut")
        found = None
        if not self.order.again:
            found = checkpoints.newest(self.folder, self.compiled.job_hash, self.history, self.reporter.note)
        if found is None:
            self.course.begin()
        else:
            saved, tensors = found
            self.course.restore(saved.chain, tensors)
            self.saver.step = saved.chain.done
        self.journal.add(self._begun(), sync=True)

    def _need_class(self) -> None:
        """Raises JobspecError (E0525) where the run was begun on another class of devices, whose sums are others."""
        begun = self.history.begun[-1].backend if self.history.begun else None
        if self.job.profile != FAST_PROFILE or begun is None or class_named(begun) == class_named(self._place):
            return
        reason = f"this run was begun on {class_named(begun)}, and this is {class_named(self._place)}"
        help = f"go on there, or train anew: remove {self.folder.path}, or set JOBSPEC_HOME to another folder"
        raise JobspecError("E0525", f"{reason}: computing `fast`, each sums in its own order", help=help)

    @property
    def _place(self) -> str:
        """What the log says a run is computed on: the backend, or the class of devices that its sums depend on."""
        own = class_of(self.compiled.plan.target)
        return own if self.job.profile == FAST_PROFILE and own != CONTRACT else self.compiled.backend.name

    def _begun(self) -> Begun:
        backend, plan = self._place, self.compiled.plan_hash
        return Begun(self.course.done, backend, self.order.threads, plan, os.getpid(), int(time.time()))

    def _train(self, interrupts: Interrupts) -> None:
        until = self.job.steps if self.order.until is None else min(self.order.until, self.job.steps)
        if self.saver.step:
            self._evaluate_due(self.saver.step)
        for portion in self.course.portions(looks_of(self.job, until)):
            self._stepped(portion)
            if portion.look:
                self._look(self.course.done)
            self._poll()
            if interrupts.asked:
                break
        if self.saver.step != self.course.done:
            self._save(None)
        self._recorded_up_to(self.course.done)

    def _stepped(self, portion: Portion) -> None:
        self.journal.add(Stepped(portion.first, portion.names, portion.reports))
        self.splits.at(self.course.done)
        self.reporter.progress(self.course.done, portion.last)

    def _poll(self) -> None:
        """Write into the log what was ready meanwhile."""
        closing = self.course.standing.closing
        if closing is not None and closing.ready:
            self._record()
        self.saver.poll()

    def _record(self) -> None:
        self.journal.add(Recorded(self.course.closed_record()))

    def _recorded_up_to(self, step: int) -> None:
        """The log has the records up to `step`, which are waited for."""
        standing = self.course.standing
        if standing.closing is not None and standing.chain.done <= step:
            self._record()

    def _look(self, step: int) -> None:
        """What falls due after `step` steps: a record, evaluations, a checkpoint."""
        self._record_due(step)
        self._evaluate_due(step)
        falls = due(self.job.save_every, step) and self._has_time()
        if self.saver.step != step and (falls or step in self.job.milestones):
            self._save(None)

    def _record_due(self, step: int) -> None:
        """Begin to close a record; the one before is waited for."""
        if closes_record(self.job, step):
            self._recorded_up_to(step)
            self.course.close_record(copy=self._worth_a_copy)

    @property
    def _worth_a_copy(self) -> bool:
        """Whether a root is hashed from a copy while the next steps run. The host's own memory is hashed in less time
        than it is copied; and there is never more than one copy."""
        return not self.compiled.backend.on_host and not self.saver.busy

    def _has_time(self) -> bool:
        """Whether a checkpoint may be made: not while the disk is at the last one, unless all are to be kept."""
        return self.job.keep == 0 or not self.saver.busy

    def _evaluate_due(self, step: int) -> None:
        """The evaluations that fall on `step`, but for those that a killed process had done."""
        done = {e.name for e in self.history.evaluated if e.step == step}
        for evaluation in self.job.evaluations:
            falls = step == self.job.steps or due(evaluation.every, step)
            if falls and evaluation.name not in done:
                self._evaluate(evaluation, step)

    def _evaluate(self, evaluation: Evaluation, step: int) -> None:
        metrics = self.course.evaluate(evaluation)
        better = is_best(evaluation, metrics, self.history)
        self.journal.add(Evaluated(evaluation.name, step, tuple(metrics.items())))
        self.reporter.evaluated(evaluation.name, step, metrics)
        if better:
            self._save(evaluation.name)

    def _save(self, best: str | None) -> None:
        self._recorded_up_to(self.course.done - 1)  # a copy of an earlier state is not needed any more
        self.saver.save(self.course.standing, self.course.state_roots.copied, best)


def class_named(place: str) -> str:
    """The class of devices of a place in the log."""
    return place if is_class(place) else CONTRACT


def is_best(evaluation: Evaluation, metrics: Mapping[str, np.float32], history: History) -> bool:
    """Whether the evaluation asks to keep its best, and these metrics beat all before. A NaN beats nothing."""
    if evaluation.best is None:
        return False
    how, metric = evaluation.best
    sign = np.float32(1 if how == "max" else -1)
    before = [sign * dict(e.metrics)[metric] for e in history.evaluated if e.name == evaluation.name]
    return all(sign * metrics[metric] > value or np.isnan(value) for value in before)
