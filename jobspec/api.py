"""The Python face: load, compile, run, verify.

    job = jobspec.load("digits.job", steps=500)
    run = jobspec.run(job, progress=True)
    run.metrics["acc"], run.metrics["step.loss"]       # numpy arrays, one value per evaluation or step
    run.weights["w1"]                                   # numpy array
    jobspec.verify(run.receipt).accepted

Every function raises JobspecError (with code, reason and help) for what a user can put right. `home` is
the store's folder; without it JOBSPEC_HOME or the platform's data folder.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import jobspec.debug as debug
from jobspec.backends.registry import DEFAULT, fastest, name_for
from jobspec.ir.codec.job import job_hash
from jobspec.ir.codec.plan_file import LIMITS, PlanFileError, decode_plan_file
from jobspec.ir.codec.receipt import ReceiptFormatError
from jobspec.ir.errors import CompileError, DataError, UsageError
from jobspec.ir.later import later
from jobspec.loading import Spec, known_spec, need_whole_roots, open_data, read_spec, text_spec
from jobspec.runtime.checkpoints import chosen, loaded
from jobspec.runtime.engine import Compiled, compile_for, default_threads, recompiled
from jobspec.runtime.export import has_averages, weights_metadata, write_weights
from jobspec.runtime.folder import keep_text, run_folder
from jobspec.runtime.history import History
from jobspec.runtime.journal import read_history
from jobspec.runtime.names import metric_name, report_name
from jobspec.runtime.outcome import Result
from jobspec.runtime.progress import reporter_for
from jobspec.runtime.reporter import Reporter, Silent
from jobspec.runtime.run import Order
from jobspec.runtime.run import run as run_compiled
from jobspec.runtime.safetensors import SafetensorsError, from_bytes
from jobspec.runtime.start import Weights
from jobspec.runtime.tuning import Tunings, may_stand_for
from jobspec.runtime.workers.seats import Asked, asked_of
from jobspec.store.checkpoint import state_root
from jobspec.store.datasets import DataSet
from jobspec.store.files import FileLayer
from jobspec.store.home import Home, beside, open_home

if TYPE_CHECKING:
    from jobspec.planning import Report, report_of
    from jobspec.runtime.workers.opening import on_workers
    from jobspec.verify.challenge import fresh
    from jobspec.verify.claims import not_a_receipt
    from jobspec.verify.dispute import Settlement
    from jobspec.verify.replaying import Means
    from jobspec.verify.sampled import Sample
    from jobspec.verify.settling import dispute as settle
    from jobspec.verify.settling import trace as write_traces
    from jobspec.verify.signing import sign as sign_receipt
    from jobspec.verify.verdict import Verdict
    from jobspec.verify.verify import verify as verify_receipt
else:
    report_of = later("jobspec.planning", "report_of")
    on_workers = later("jobspec.runtime.workers.opening", "on_workers")
    fresh = later("jobspec.verify.challenge", "fresh")
    not_a_receipt = later("jobspec.verify.claims", "not_a_receipt")
    Means = later("jobspec.verify.replaying", "Means")
    Sample = later("jobspec.verify.sampled", "Sample")
    settle = later("jobspec.verify.settling", "dispute")
    write_traces = later("jobspec.verify.settling", "trace")
    sign_receipt = later("jobspec.verify.signing", "sign")
    verify_receipt = later("jobspec.verify.verify", "verify")

Array = NDArray[Any]


@dataclass(frozen=True)
class Program:
    """A loaded job and its plan for one backend. Made by `compile`."""

    spec: Spec
    compiled: Compiled

    @property
    def job_hash(self) -> str:
        return str(self.compiled.job_hash)

    @property
    def plan_hash(self) -> str:
        return str(self.compiled.plan_hash)


class Run:
    """What a run came to. `job`, `plan`, `state`: hashes in text form; `receipt`: its file, None while the
    run is not closed; `steps`: done; `known`: it was there already; `interrupted`: a signal stopped it."""

    def __init__(self, result: Result) -> None:
        self._result = result
        self.job, self.plan, self.state = str(result.job), str(result.plan), str(result.state)
        self.steps, self.known, self.interrupted = result.steps, result.known, result.interrupted
        self.receipt, self.weights_file = result.receipt, result.weights
        self.folder = result.folder.path

    @cached_property
    def _history(self) -> History:
        return read_history(self._result.folder)

    @cached_property
    def metrics(self) -> dict[str, Array]:
        """float32 arrays: `step.NAME`, one value per step, and each evaluation's metrics, one per evaluation."""
        found: dict[str, Array] = {report_name(n): values for n, (_, values) in self._history.reports().items()}
        for event in self._history.evaluated:
            for metric, _ in event.metrics:
                name = metric_name(event.name, metric)
                found.setdefault(name, self._series(event.name, metric))
        return found

    @cached_property
    def metric_steps(self) -> dict[str, Array]:
        """int64 arrays: after how many steps each value of `metrics` was taken."""
        steps: dict[str, Array] = {report_name(n): made + 1 for n, (made, _) in self._history.reports().items()}
        for event in self._history.evaluated:
            taken = np.array([e.step for e in self._history.evaluated if e.name == event.name], np.int64)
            steps |= {metric_name(event.name, metric): taken for metric, _ in event.metrics}
        return steps

    def _series(self, evaluation: str, metric: str) -> Array:
        values = [dict(e.metrics)[metric] for e in self._history.evaluated if e.name == evaluation]
        return np.array(values, np.float32)

    @property
    def final(self) -> dict[str, float]:
        """The last value of each evaluation's metrics."""
        return {
            metric_name(evaluation, metric): float(value)
            for evaluation, metrics in self._result.metrics.items()
            for metric, value in metrics.items()
        }

    @cached_property
    def weights(self) -> dict[str, Array]:
        """Parameters and layers' state by label path. Raises DataError before the run is closed."""
        if self.weights_file is None:
            reason = f"the run has done {self.steps} steps and is not finished, so there are no weights yet"
            raise DataError("E0509", reason, help="run it to its end, or export the last checkpoint")
        try:
            return from_bytes(self.weights_file.read_bytes())[0]
        except (OSError, SafetensorsError) as error:
            reason = f"{self.weights_file} cannot be read: {error}"
            raise DataError("E0508", reason, help="run with again=True") from error

    def __repr__(self) -> str:
        final = ", ".join(f"{name}={value:.4g}" for name, value in self.final.items())
        return f"<Run {self.job[:15]} {self.steps} steps {final}>"


def load(job: str | Path, *, home: Path | None = None, **values: object) -> Spec:
    """The job in a file or, where there is a line break in it, a text. `values`: dims and settings to set, as
    `steps=500` or `B=32`."""
    words = {name: str(value) for name, value in values.items()}
    store = open_home(home)
    with debug.stage("load"):
        return text_spec(str(job), words, store) if is_text(job) else read_spec(Path(job), words, store)


def is_text(job: str | Path) -> bool:
    """Whether it is a job's text rather than a file's name."""
    return isinstance(job, str) and "\n" in job


def compile(
    job: Spec | str | Path, on: str | None = None, *, tuned: bool = False, home: Path | None = None
) -> Program:
    """The job's plan for the backend `on`, on this machine (the fastest one, as far as that is known, without it);
    `tuned`: with the schedules that `jobspec tune` found."""
    spec = job if isinstance(job, Spec) else load(job, home=home)
    need_whole_roots(spec)
    with debug.stage("compile"):
        store = open_home(home)
        compiled = compile_for(spec.job, on or fastest(), Tunings(store) if tuned else None, store.cache)
    debug.compiled(spec.job, compiled.plan)
    return Program(spec, compiled)


def read_plan(path: Path, home: Path | None = None, *, on: str | None = None) -> Program:
    """The program in a plan file, as `jobspec compile` wrote it. It may come from anywhere: the plan must be the
    one that this version makes of the job in it, but for how its kernels are executed. `on`: the backend that it has
    to be for. Raises UsageError (E0820 where it is for another), CompileError."""
    try:
        job, plan = decode_plan_file(FileLayer().read(path, LIMITS.size + 1))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError("E0801", f"cannot read `{path}`: {reason}", help="name a plan file that exists") from error
    except PlanFileError as error:
        reason = f"{path} is not a plan file: {error}"
        raise CompileError("E0601", reason, help="make it with `jobspec compile`") from error
    need_for(on, name_for(plan.target), path)
    compiled = recompiled(job, plan)
    if not may_stand_for(plan, compiled.plan):
        reason = f"the plan in {path} is not what this version of jobspec makes of its job"
        raise CompileError("E0602", reason, help="compile the job again: the same job gives the same bits")
    return Program(Spec(job, beside(path)), replace(compiled, plan=plan))


def need_for(on: str | None, planned: str, path: Path) -> None:
    """Raises UsageError E0820 where a plan for the backend `planned` is to run on another one."""
    if on not in (None, planned):
        reason = f"the plan in {path} is for `{planned}`, and `{on}` is asked for"
        again = f"compile its job with `--on {on}`: the plan is another one, the job and its result are the same"
        raise UsageError("E0820", reason, help=f"leave out `--on`; or {again}")


def export(
    spec: Spec,
    path: Path,
    *,
    best: str | None = None,
    phase: str | None = None,
    average: bool = False,
    names: str | None = None,
    home: Path | None = None,
) -> int:
    """Write the weights of the job's newest checkpoint, of the one that the evaluation `best` found best, or of that at
    the end of `phase`, as safetensors; the number of steps done there. `average`: the averages that `train` keeps;
    `names`: under another program's names, `gpt2` or `llama`. Raises JobspecError E0509 where there is no such
    checkpoint, E0840 where there are no averages, E0841 and E0842 where the names do not fit, E0846 for no phase."""
    need_whole_roots(spec)
    if average and not has_averages(spec.job):
        raise UsageError("E0840", "this job keeps no averages", help="say in `train`: `average all by optim.ema(.999)`")
    hash = job_hash(spec.job)
    folder = run_folder(open_home(home), hash)
    history = read_history(folder) if folder.log.is_file() else History()
    saved = chosen(spec.job, history, best, phase)
    tensors = loaded(folder, hash, saved)
    about = weights_metadata(hash, state_root(tensors), saved.chain.done)
    write_weights(folder.files, path, spec.job, tensors, about, average, names)
    return saved.chain.done


def plan(
    job: Spec | str | Path,
    on: str | None = None,
    *,
    threads: int | None = None,
    memory: int | None = None,
    home: Path | None = None,
) -> Report:
    """What a run of the job takes, as `jobspec plan` says it; nothing runs. `memory`: bytes that it must fit into, this
    machine's without it. Raises UsageError E0851 for a backend without a plan, CompileError, DataError."""
    begun = time.perf_counter()
    spec = job if isinstance(job, Spec) else load(job, home=home)
    return report_of(spec, on or fastest(), threads or default_threads(), memory, begun)


def run(
    job: Program | Spec | str | Path,
    on: str | None = None,
    *,
    threads: int | None = None,
    until: int | None = None,
    again: bool = False,
    progress: bool | Reporter = False,
    home: Path | None = None,
    workers: int | str | Asked | None = None,
    ray: str | None = None,
) -> Run:
    """Train, from where the last run of this job got to. `threads`: all cores by default; `until`: stop after so
    many steps; `again`: begin afresh even if the result is known; `progress`: show it, or tell a Reporter. `workers`:
    how many, or `llvm=2,opencl=1`; `ray`: the address of their cluster, which is started here without it. Raises
    UsageError E0863 to E0867 for workers that cannot be had."""
    store = open_home(home)
    if isinstance(job, str | Path) and not is_text(job) and not (workers or ray):
        with debug.stage("load"):
            job = known_spec(Path(job), {}, store)
    program = job if isinstance(job, Program) else compile(job, on or (DEFAULT if workers or ray else None), home=home)
    asked = workers if isinstance(workers, Asked) else asked_of(workers, ray, on or DEFAULT, threads=threads)
    reporter = reporter_for(sys.stderr, asked.tally if asked else "") if progress is True else progress or Silent()
    order = Order(threads or default_threads(), until, again)
    compiled = on_workers(program.compiled, asked, reporter.note) if asked else program.compiled
    with debug.stage("run"):
        weights = Weights(store, program.spec.search)
        result = run_compiled(compiled, lambda: begin(program, store), store, order, reporter, weights)
    if asked:
        asked.timeline.write(result.folder.path, result.folder.files)
    return Run(result)


def begin(program: Program, store: Home) -> dict[str, DataSet]:
    """The job's data; where that is whole, the run's folder keeps the text."""
    found = open_data(program.spec, store)
    if program.spec.text is not None:
        keep_text(run_folder(store, program.compiled.job_hash), program.spec.text, program.spec.sets)
    return found


def verify(
    receipt: str | Path,
    on: str | None = None,
    *,
    job: Spec | None = None,
    threads: int | None = None,
    data: tuple[Path, ...] = (),
    sample: int | None = None,
    challenge: bytes | None = None,
    signer: Path | None = None,
    progress: bool | Reporter = False,
    home: Path | None = None,
) -> Verdict:
    """The verdict on a receipt's file, by full replay. `job`: where it does not lie beside or in the store;
    `data`: more folders with data; `sample`: replay only so many segments, drawn with `challenge` (32 bytes; made
    afresh where None); `signer`: the file of a public key that must have signed the receipt."""
    store = open_home(home)
    search = (*data, *(job.search if job else ()))
    drawn = Sample(sample, challenge or fresh()) if sample else None
    means = Means(store, on or fastest(), threads or default_threads(), search, job.job if job else None, drawn, signer)
    reporter = reporter_for(sys.stderr) if progress is True else progress or None
    with debug.stage("verify"):
        return verify_receipt(Path(receipt), means, reporter)


def sign(receipt: str | Path, key: str | Path) -> Path:
    """Sign a receipt with the private key in the file `key` (PEM); the file of the envelope, beside the receipt. Raises
    UsageError E0847 without the extra `sign`, E0848 for what is no such key, DataError E0603 for what is no receipt."""
    try:
        return sign_receipt(Path(receipt), Path(key))
    except ReceiptFormatError as error:
        raise not_a_receipt(receipt, error) from error


def trace(
    run: str | Path,
    step: int,
    *,
    values: bool = False,
    on: str | None = None,
    threads: int | None = None,
    data: tuple[Path, ...] = (),
    home: Path | None = None,
) -> list[Path]:
    """Write the traces of a run's step `step` (from 0) and of the segment that holds it; the files written. `run`: its
    folder, or the receipt in it; `values`: with the bytes of every value. Raises UsageError E0844 for a step that the
    run's log does not reach, MismatchError E0512 where the backend leaves another state than the reference."""
    store = open_home(home)
    with debug.stage("trace"):
        return write_traces(Path(run), step, values, Means(store, on or fastest(), threads or default_threads(), data))


def dispute(
    one: str | Path,
    other: str | Path,
    *,
    on: str | None = None,
    threads: int | None = None,
    data: tuple[Path, ...] = (),
    home: Path | None = None,
) -> Settlement:
    """Where two runs of one job part, and who is wrong. `one`, `other`: their folders, or the receipts in them, here or
    at URLs. Raises UsageError E0845 for runs of different jobs, DataError where job or data is missing."""
    store = open_home(home)
    with debug.stage("dispute"):
        return settle(one, other, Means(store, on or fastest(), threads or default_threads(), data))
