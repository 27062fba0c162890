"""Jobs as CUDA text, without a GPU.

Promises: `texts` gives every routine of a job's plan for an sm level; `clean` compiles one and asserts that what the
compiler made of it is the contract's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jobspec.backends.c.routine import render_routine
from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import EXACT, Compiled, compile_text
from jobspec.backends.cuda.target import target_of
from jobspec.ir.job import Job
from jobspec.passes.pipeline import compile_job

#: the call that only texts of the profile `fast` make
MATRICES = "f_matrices(s0"
#: data centre of 2020 and of 2022, desk of 2025
LEVELS = (80, 90, 120)


def texts(job: Job, level: int = 90) -> Iterator[tuple[str, str]]:
    """(routine, its text)."""
    for routine in compile_job(job, target_of(level)).routines:
        yield routine.name, render_routine(routine, "cuda").text


def clean(name: str, text: str, level: int, machine: bool = False) -> Compiled:
    """The routine compiled; its PTX breaks no rule, and its registers suffice."""
    compiled = compile_text(text, level, EXACT, machine)
    violations = audit(compiled.ptx, text, MATRICES in text)
    assert not violations, f"{name}, sm_{level}: {violations[0]}"
    assert f".target sm_{level}" in compiled.ptx and compiled.ptx.count(".entry ") == text.count("KERNEL k")
    assert not spilled(compiled.log), f"{name}, sm_{level}: registers are spilled to memory: {spilled(compiled.log)}"
    return compiled


def spilled(log: str) -> list[str]:
    """What the assembler says of kernels whose registers do not suffice."""
    return [line for line in log.splitlines() if re.search(r"[1-9]\d* bytes spill", line)]
