"""`python -m bench [--quick] [--json FILE] [JOB…]`: whole training steps, ours beside PyTorch's, in one process.

`python -m bench --ours NAME…`: our own step alone, kernel by kernel; NAME `contractions` or `kernels` is all of those.
Needs the extra `bench` (PyTorch; not for `--ours`), and real data in the folder that JOBSPEC_TEST_DATA names.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.alone import KERNELS, contractions
from bench.compare import FULL, QUICK, Comparison, Effort, compare
from bench.data import Missing
from bench.machine import peak
from bench.memory import keep_memory
from bench.ours import report
from bench.report import Findings, json_of, text_of
from bench.startup import startup
from bench.workloads import JOBS, open_workload
from jobspec.backends.llvm.machine import target_of
from jobspec.backends.registry import backend
from jobspec.ir.errors import JobspecError
from jobspec.store.home import Home, open_home

COMPARED = ("digits", "mnist_cnn", "char_gpt")


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"of specs/: {', '.join(COMPARED)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="few short windows, no torch.compile")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--ours", action="store_true", help="only ours, with the share of the peak kernel by kernel")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of --ours: steps to profile (default 10)")
    parser.add_argument("--cpu", metavar="NAME", help="of --ours: code for another processor, as `x86-64-v3` (AVX2)")
    chosen = parser.parse_args(words)
    if chosen.ours:
        return only_ours(chosen.jobs, chosen.steps, chosen.cpu)
    keep_memory()
    try:
        found = measure(chosen.jobs or COMPARED, QUICK if chosen.quick else FULL, open_home())
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(text_of(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(json_of(found), indent=1) + "\n", "utf-8")
    return 0


def only_ours(wanted: Sequence[str], steps: int, cpu: str | None) -> int:
    ours = backend("llvm")
    ours = replace(ours, target=target_of(cpu)) if cpu else ours
    groups = {"contractions": contractions(), "kernels": list(KERNELS), "jobs": list(JOBS)}
    names = [name for word in wanted or ["jobs"] for name in groups.get(word, [word])]
    known = [*JOBS, *contractions(), *KERNELS]
    for name in names:
        if name not in known:
            print(f"no workload `{name}`; there are {', '.join([*groups, *JOBS, *KERNELS])}", file=sys.stderr)
            return 2
        try:
            print("\n".join([*report(name, threads_here(), ours, steps), ""]), flush=True)
        except Missing as missing:
            print(f"{name} left out: {missing}", file=sys.stderr)
    return 0


def threads_here() -> list[int]:
    return [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]


def measure(jobs: Sequence[str], effort: Effort, home: Home) -> Findings:
    threads = threads_here()
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
