"""Jobs as CUDA text, without a GPU.

Promises: `texts` gives every routine of a job's plan for an sm level; `clean` compiles one and asserts that what the
compiler made of it is the contract's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from jobspec.backends.c import between
from jobspec.backends.c.kernels import render
from jobspec.backends.c.request import Request
from jobspec.backends.c.routine import is_joined, render_routine
from jobspec.backends.c.source import names
from jobspec.backends.c.writer import Writer
from jobspec.backends.cuda.audit import audit
from jobspec.backends.cuda.nvrtc import EXACT, Compiled, compile_text
from jobspec.backends.cuda.target import target_of
from jobspec.ir.job import Job
from jobspec.ir.kernel import Kernel
from jobspec.ir.plan import Buffer, Schedule
from jobspec.ir.trio import trios
from jobspec.ir.types import Type
from jobspec.passes.pipeline import compile_job
from jobspec.runtime.tuning import unplaced

#: the call that only texts of the profile `fast` make
MATRICES = "f_matrices(s0"
#: how a function begins
HEAD = re.compile(r"^KERNEL (BOUND\(\d+\) )?k", re.MULTILINE)
#: a name without the number that makes it one of many
WORD = re.compile(r"\b[A-Za-z_]+(?=\d*\b)")
#: data centre of 2020 and of 2022, desk of 2025
LEVELS = (80, 90, 120)
#: kernels that are compiled as one program; bytes between buffers
TOGETHER, PLACE = 24, 1 << 20


def texts(job: Job, level: int = 90) -> Iterator[tuple[str, str]]:
    """(routine, its text)."""
    for routine in compile_job(job, target_of(level)).routines:
        yield routine.name, render_routine(routine, "cuda").text


@dataclass
class Distinct:
    """Kernels that have been compiled for a level: those that differ only in where their buffers lie are one."""

    level: int
    seen: set[str] = field(default_factory=set)

    def fresh(self, job: Job) -> Iterator[str]:
        """Programs of the job's kernels that were in no job before, some in each."""
        functions = [text for text in self.functions(job) if text not in self.seen]
        self.seen |= set(functions)
        yield from programs(functions)

    def functions(self, job: Job) -> Iterator[str]:
        """The text of each different kernel."""
        texts = dict[str, None]()
        for routine in compile_job(job, target_of(self.level)).routines:
            for kernel, schedule in zip(routine.kernels, routine.schedules, strict=True):
                texts[by_itself(kernel, schedule, routine.buffers)] = None
            for trio in (trio for trio in trios(routine) if is_joined(routine, trio)):
                between.render("k", trio, routine, writer := Writer())
                texts[writer.text()] = None
        return iter(texts)


def programs(functions: Sequence[str]) -> Iterator[str]:
    """Some functions in each."""
    for some in batched(functions, TOGETHER):
        bodies = (HEAD.sub(rf"\g<0>{i}_", text) for i, text in enumerate(some))
        yield names("cuda") + "".join(bodies)


def forms(functions: Iterable[str]) -> list[str]:
    """The shortest of those that are made of the same words, whatever their numbers."""
    found: dict[frozenset[str], str] = {}
    for text in sorted(functions, key=len):
        found.setdefault(frozenset(WORD.findall(text)), text)
    return list(found.values())


def by_itself(kernel: Kernel, schedule: Schedule, buffers: Sequence[Buffer]) -> str:
    """The kernel's functions with its buffers in the order in which it names them."""
    order = list(dict.fromkeys(view.buffer for view, _ in kernel.views()))
    here = [replace(buffer, space="arena") if buffer.space == "group" else buffer for buffer in buffers]
    moved = [replace(here[number], name="b", offset=PLACE * i) for i, number in enumerate(order, 1)]
    flags, writer = Buffer("flags", Type("i32", (64,)), "arena", 0), Writer()
    render(Request("k", unplaced(kernel), schedule, tuple(moved), flags), writer)
    return writer.text()


def batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[first : first + size] for first in range(0, len(items), size))


def clean(name: str, text: str, level: int, machine: bool = False) -> Compiled:
    """The routine compiled; its PTX breaks no rule, and its registers suffice."""
    compiled = compile_text(text, level, EXACT, machine)
    violations = audit(compiled.ptx, text, MATRICES in text)
    assert not violations, f"{name}, sm_{level}: {violations[0]}"
    assert f".target sm_{level}" in compiled.ptx and compiled.ptx.count(".entry ") == len(HEAD.findall(text))
    assert not spilled(compiled.log), f"{name}, sm_{level}: registers are spilled to memory: {spilled(compiled.log)}"
    return compiled


def spilled(log: str) -> list[str]:
    """What the assembler says of kernels whose registers do not suffice."""
    return [line for line in log.splitlines() if re.search(r"[1-9]\d* bytes spill", line)]
