"""Jobs as CUDA text, without a GPU.

Promises: `texts` gives every routine of a job's plan for an sm level; `clean` compiles one and asserts that what the
compiler made of it is the contract's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
from jobspec.ir.plan import Buffer, Plan, Routine, Schedule
from jobspec.ir.target import Target
from jobspec.ir.trio import trios
from jobspec.ir.types import Type
from jobspec.passes.pipeline import compile_job
from jobspec.passes.schedule import choose_schedule
from jobspec.runtime.tuning import unplaced

#: the call that only texts of the profile `fast` make
MATRICES = "f_matrices(s0"
#: how a function begins
HEAD = re.compile(r"^KERNEL (BOUND\(\d+\) )?k", re.MULTILINE)
#: items of a group, if said, and name of a function; of what the assembler says: function, bytes, registers
BOUND = re.compile(r"^KERNEL (?:BOUND\((\d+)\) )?(k\w*)", re.MULTILINE)
SPILLED = re.compile(r"function '(\w+)' for '\w+'\n.*\n.* ([1-9]\d*) bytes spill stores.*\n.*Used (\d+) registers")
#: of a multiprocessor, which its groups share; of a work-item
REGISTERS, MOST = 1 << 16, 255
#: a name without the number that makes it one of many
WORD = re.compile(r"\b[A-Za-z_]+(?=\d*\b)")
#: data centre of 2020 and of 2022, desk of 2025
LEVELS = (80, 90, 120)
#: for which plans are made first: nothing that another allows is too large there
BEGUN = 90
#: kernels that are compiled as one program; bytes between buffers
TOGETHER, PLACE = 24, 1 << 20


def texts(job: Job, level: int = 90) -> Iterator[tuple[str, str]]:
    """(routine, its text)."""
    for routine in compile_job(job, target_of(level)).routines:
        yield routine.name, render_routine(routine, "cuda").text


def kernels_by_level(job: Job) -> dict[int, list[str]]:
    """Level → the text of each different kernel. Only what schedules say of a level differs between plans, so that
    one is made anew where a kernel's does, or where kernels are one launch."""
    plan = compile_job(job, target_of(BEGUN))
    joined = any(is_joined(routine, trio) for routine in plan.routines for trio in trios(routine))
    found = kernels_of(plan)
    return {
        level: kernels_of(compile_job(job, target_of(level)))
        if level != BEGUN and (joined or any(not is_chosen(routine, target_of(level)) for routine in plan.routines))
        else found
        for level in LEVELS
    }


def is_chosen(routine: Routine, target: Target) -> bool:
    """Whether the schedules are those of `target`."""
    return all(choose_schedule(k, target) == s for k, s in zip(routine.kernels, routine.schedules, strict=True))


def kernels_of(plan: Plan) -> list[str]:
    """The text of each different kernel: those that differ only in where their buffers lie are one."""
    found = dict[str, None]()
    for routine in plan.routines:
        for kernel, schedule in zip(routine.kernels, routine.schedules, strict=True):
            found[by_itself(kernel, schedule, routine.buffers)] = None
        for trio in (trio for trio in trios(routine) if is_joined(routine, trio)):
            between.render("k", trio, routine, writer := Writer())
            found[writer.text()] = None
    return list(found)


@dataclass
class Distinct:
    """What has been compiled for each level. A kernel of a new form, made of other words than those before whatever
    its numbers, comes first."""

    texts: set[tuple[int, str]] = field(default_factory=set)
    forms: set[frozenset[str]] = field(default_factory=set)

    def new_forms(self, kernels: Sequence[str]) -> list[str]:
        """The shortest of each."""
        found: dict[frozenset[str], str] = {}
        for text in sorted(kernels, key=len):
            found.setdefault(form_of(text), text)
        new = [text for form, text in found.items() if form not in self.forms]
        self.forms |= found.keys()
        return new

    def programs(self, kernels: Sequence[str], level: int) -> Iterator[str]:
        """Those that were not compiled for the level, some in each."""
        new = [text for text in kernels if (level, text) not in self.texts]
        self.texts |= {(level, text) for text in new}
        return programs(new)


def form_of(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text))


def programs(functions: Sequence[str]) -> Iterator[str]:
    """Some functions in each."""
    for some in batched(functions, TOGETHER):
        bodies = (HEAD.sub(rf"\g<0>{i}_", text) for i, text in enumerate(some))
        yield names("cuda") + "".join(bodies)


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
    short = crowded(compiled.log, text)
    assert not short, f"{name}, sm_{level}: registers do not suffice: {short}"
    return compiled


def crowded(log: str, text: str) -> list[str]:
    """The kernels that spill and have all registers that work-items of their groups may have. To some the assembler
    gives fewer, so that more groups find room, and spills some bytes for it: its own choice."""
    most = {symbol: min(MOST, REGISTERS // int(items or 1) // 8 * 8) for items, symbol in BOUND.findall(text)}
    return [
        f"{symbol}: {size} bytes, {registers} registers"
        for symbol, size, registers in SPILLED.findall(log)
        if int(registers) >= most[symbol]
    ]


def spilled(log: str) -> list[str]:
    """What the assembler says of kernels that spill, by choice or not."""
    return [line for line in log.splitlines() if re.search(r"[1-9]\d* bytes spill", line)]
