"""`python -m bench [JOB …]`: whole training steps and kernels alone, ours beside those of others, timed in turn.

Prints tables of milliseconds, ratios to the best of the others (in brackets the bounds of the median), the share of the
machine's limits, waiting and memory. `--ours`: our step alone, kernel by kernel. Needs the extra `bench` (not for
`--ours`), and for most jobs real data in the folder that JOBSPEC_TEST_DATA names; what lacks its data is left out, and
named. docs/performance.md says how everything is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.alone import KERNELS, contractions
from bench.compare import FEW, FULL, QUICK, Comparison, Effort, compare
from bench.data import Missing
from bench.kernels import Alone
from bench.kernels import measured as measured_alone
from bench.machine import peak
from bench.ours import report
from bench.report import Findings, json_of, text_of
from bench.startup import Startup, startup
from bench.workloads import JOBS, of_spec
from bench.workloads import text_of as text_of_job
from jobspec.backends.llvm.machine import target_of
from jobspec.backends.registry import backend
from jobspec.ir.errors import JobspecError
from jobspec.loading import read_spec
from jobspec.store.home import Home

QUICKLY = ("digits", "char_gpt", "nn 512x512x512", "nt 256x768x3072", "softmax", "adamw")
JOBS_HELP = (
    f"{' '.join(JOBS)}; {' '.join(KERNELS)}; a contraction, as 'nt 256x768x3072'; or all `jobs`, "
    "`contractions`, `kernels` (without any: everything)"
)
#: jobs whose processes take more memory do not run as whole commands: their checkpoints would be what is timed
MOST_TO_RUN = 3_000_000_000


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=JOBS_HELP)
    parser.add_argument("--quick", action="store_true", help="short windows; without names few workloads")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    parser.add_argument("--ours", action="store_true", help="only ours, with the share of the peak kernel by kernel")
    parser.add_argument("--steps", type=int, default=10, metavar="N", help="of --ours: steps to profile (default 10)")
    parser.add_argument("--cpu", metavar="NAME", help="of --ours: code for another processor, as `x86-64-v3` (AVX2)")
    chosen = parser.parse_args(words)
    if chosen.ours:
        return only_ours(chosen.jobs, chosen.steps, chosen.cpu)
    names = expanded(chosen.jobs or (QUICKLY if chosen.quick else ["jobs", "contractions", "kernels"]))
    if names is None:
        return 2

    def keep(found: Findings) -> None:
        """What is measured is kept, whatever becomes of the rest."""
        if chosen.json:
            chosen.json.write_text(json.dumps(json_of(found), indent=1) + "\n", "utf-8")

    try:
        found = measure(names, QUICK if chosen.quick else FULL, chosen.quick, keep)
    except JobspecError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(text_of(found))
    return 0


def expanded(words: Sequence[str]) -> list[str] | None:
    """Workloads by name, groups taken apart; None, and a word about it, for one that is not there."""
    groups = {"contractions": contractions(), "kernels": list(KERNELS), "jobs": list(JOBS)}
    names = [name for word in words for name in groups.get(word, [word])]
    known = [*JOBS, *contractions(), *KERNELS]
    for name in names:
        if name not in known:
            print(f"no workload `{name}`; there are {', '.join([*groups, *JOBS, *KERNELS])}", file=sys.stderr)
            return None
    return names


def only_ours(wanted: Sequence[str], steps: int, cpu: str | None) -> int:
    ours = backend("llvm")
    ours = replace(ours, target=target_of(cpu)) if cpu else ours
    names = expanded(wanted or ["jobs"])
    if names is None:
        return 2
    for name in names:
        try:
            print("\n".join([*report(name, threads_here(), ours, steps), ""]), flush=True)
        except Missing as missing:
            print(f"{name} left out: {missing}", file=sys.stderr)
    return 0


def threads_here() -> list[int]:
    return [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]


def measure(names: Sequence[str], effort: Effort, quick: bool, keep: Callable[[Findings], None]) -> Findings:
    """Jobs, then kernels alone, between two looks at the peak; `keep` is given what there is after each job. A job of
    which a process ends before its time is left out."""
    threads, jobs = threads_here(), [name for name in names if name in JOBS]
    before = {n: peak(n) for n in threads}
    comparisons, startups, left_out = [], {}, {}
    for name in jobs:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            comparison, startups[name] = measured(name, threads, effort, quick)
            comparisons.append(comparison)
        except (Missing, ChildProcessError) as missing:
            left_out[name] = str(missing)
        keep(Findings(before, comparisons, [], startups, left_out))
    alone, kernels = [name for name in names if name not in JOBS], []
    for n in threads:
        try:
            kernels += kernels_alone(alone, n, before[n], effort)
        except ChildProcessError as ended:
            left_out[f"kernels alone, {n} threads"] = str(ended)
    found = Findings({n: max(before[n], peak(n)) for n in threads}, comparisons, kernels, startups, left_out)
    keep(found)
    return found


def kernels_alone(names: Sequence[str], threads: int, limit: float, effort: Effort) -> list[Alone]:
    print(f"measuring {len(names)} kernels alone on {threads} …", file=sys.stderr, flush=True)
    return measured_alone(names, threads, limit, min(FEW, effort.windows), effort.seconds / 4) if names else []


def measured(name: str, threads: Sequence[int], effort: Effort, quick: bool) -> tuple[Comparison, Startup]:
    with tempfile.TemporaryDirectory() as folder:
        room, home = Path(folder), Home(Path(folder) / "home")
        file, values = text_of_job(name, home)
        work = of_spec(name, read_spec(file, values, home), home)
        comparison = compare(work, backend("llvm"), threads, effort, room)
        whole = sum(comparison.memory.values()) < MOST_TO_RUN
        return comparison, startup(file, values, home, threads[-1], 1 if quick else 2, runs=whole)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
