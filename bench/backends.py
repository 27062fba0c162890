"""`python -m bench.backends [JOB] [BACKEND…]`: a training step on backends that are here, side by side.

Takes: a workload by name (char_gpt), names of backends (llvm, opencl). Promises: each runs the same steps from the same
state, in turn, window by window; by the clock and in processor time of all threads, which a machine that others use
changes less; medians, and the ratio to the first.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.workloads import Workload, begun, open_workload
from jobspec.backends.registry import backend
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import open_home

WINDOWS, STEPS, THREADS = 21, 3, 2


@dataclass
class Runner:
    """One backend's session; seconds per step of each window, by the clock and of processors."""

    work: Workload
    name: str
    cache: Path
    clock: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chosen = backend(self.name)
        plan = compile_job(self.work.job, chosen.target)
        self.session = chosen.open(plan, self.work.job, THREADS, self.cache)
        begun(self.session, self.work.job)
        self.rows = self.work.rows(plan, 0, STEPS)
        self.session.run(self.work.job.step_names[0], 0, self.rows)

    def window(self) -> None:
        start, before = time.perf_counter(), processors()
        self.session.run(self.work.job.step_names[0], 0, self.rows)
        self.busy.append((processors() - before) / STEPS)
        self.clock.append((time.perf_counter() - start) / STEPS)


def processors() -> float:
    """Seconds that this process has had of all processors."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(words: Sequence[str]) -> int:
    job, *names = [*words[:1], *(words[1:] or ("llvm", "opencl"))] if words else ["char_gpt", "llvm", "opencl"]
    with tempfile.TemporaryDirectory() as cache:
        work = open_workload(job, open_home())
        runners = [Runner(work, name, Path(cache)) for name in names]
        for _ in range(WINDOWS):
            for runner in runners:
                runner.window()
    first = runners[0]
    for r in runners:
        clock, least, busy = statistics.median(r.clock), min(r.clock), statistics.median(r.busy)
        ratios = statistics.median(first.clock) / clock, min(first.clock) / least, statistics.median(first.busy) / busy
        figures = zip(("a step", "at least", "of processors"), (clock, least, busy), ratios, strict=True)
        shown = ", ".join(f"{seconds * 1e3:.1f} ms {what} ({ratio:.2f}×)" for what, seconds, ratio in figures)
        print(f"{job} on {r.name}: {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
