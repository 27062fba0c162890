"""`python -m bench.compiling FILE VALUES HOME THREADS CACHE`: seconds from text to plan and to code, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from jobspec.backends.llvm.compile import Compiler
from jobspec.backends.llvm.engine import LlvmSession
from jobspec.backends.llvm.machine import host
from jobspec.loading import read_spec
from jobspec.passes.pipeline import compile_job
from jobspec.store.home import open_home


def main(file: str, values: str, home: str, threads: str, cache: str) -> None:
    begun = time.perf_counter()
    plan = compile_job(read_spec(Path(file), json.loads(values), open_home(Path(home))).job, host())
    planned = time.perf_counter()
    session = LlvmSession(plan, int(threads), Compiler(plan.target, cache=Path(cache)))
    for routine in plan.routines:
        session.load(routine.name)
    print(json.dumps([planned - begun, time.perf_counter() - planned]))


if __name__ == "__main__":
    main(*sys.argv[1:])
