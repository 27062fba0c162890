"""`python -m bench [--quick] [--json FILE] [JOB…]`: whole training steps, ours beside PyTorch's, in one process.

Needs the extra `bench` (PyTorch), and the data of the jobs in the store: the jobs' comments say how to add them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.compare import FULL, QUICK, Comparison, Effort, compare
from bench.machine import peak
from bench.memory import keep_memory
from bench.report import Findings, json_of, text_of
from bench.startup import startup
from bench.workloads import open_workload
from jobspec.backends.registry import backend
from jobspec.ir.errors import JobspecError
from jobspec.store.home import Home, open_home

JOBS = ("digits", "mnist_cnn", "char_gpt")


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of specs/: {', '.join(JOBS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few short windows, no torch.compile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    chosen = parser.parse_args(words)
    keep_memory()
    try:
        found = measure(chosen.jobs or JOBS, QUICK if chosen.quick else FULL, open_home())
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(text_of(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(json_of(found), indent=1) + "\n", "utf-8")
    return 0


def measure(jobs: Sequence[str], effort: Effort, home: Home) -> Findings:
    threads = [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]
    before = {n: peak(n) for n in threads}
    comparisons = [measured(job, threads, effort, home) for job in jobs]
    startups = {job: startup(job, home, threads[-1], 3) for job in jobs}
    peaks = {n: max(before[n], peak(n)) for n in threads}
    return Findings(peaks, comparisons, startups)


def measured(job: str, threads: Sequence[int], effort: Effort, home: Home) -> Comparison:
    print(f"measuring {job} …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as cache:
        return compare(open_workload(job, home), backend("llvm"), threads, effort, Path(cache))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
