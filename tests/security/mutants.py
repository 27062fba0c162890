"""Changed copies of valid plan files, each run in a process that has shut itself in.

Takes: small jobs, a seed. Promises: `Mutants.one` makes a mutant of a job (with the plan that a forger would make for
it) or of a plan alone, runs it with budgets, and raises AssertionError unless it is refused in words, or comes to the
receipt (or the error) that the reference semantics come to.

    python -m tests.security.mutants SECONDS [SEED]
"""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jobspec.backends.registry import backend
from jobspec.ir.canonical import Value, decode, encode
from jobspec.ir.check import IllFormed
from jobspec.ir.codec.job import JobFormatError, encode_job, read_job
from jobspec.ir.codec.plan import PlanFormatError, decode_plan, encode_plan
from jobspec.ir.codec.plan_file import encode_plan_file
from jobspec.ir.job import Job
from jobspec.ir.ops import OPS
from jobspec.ir.plan import Plan
from jobspec.ir.plan_check import check_plan
from jobspec.passes.schedule import possible_schedules
from jobspec.runtime.engine import compile_for
from jobspec.runtime.forecast import forecast
from jobspec.store.home import Home
from tests.cli.kills import Nursery
from tests.runtime.jobs import counting, phased, regression, regression_data, token_data
from tests.spec_jobs import made_up, on_made_up

#: how often a mutant may cost more than what it was made from
DEARER = 20
MEMORY = "300M"
#: codes that say that a budget is spent: how much a job costs, the backends may differ in
SPENT = ("E0511", "E0513")
TINY_GPT = {"L": "2", "D": "8", "H": "2", "T": "6", "B": "2", "train.steps": "6", "eval.every": "6", "eval.steps": "1"}

Place = tuple[Any, Any]


@dataclass(frozen=True)
class Origin:
    """A job to be changed, its plan, and what its mutants may cost."""

    name: str
    job: Job
    plan: Plan
    flop: float


def origins(home: Home, gpt: bool) -> list[Origin]:
    """Least squares in one and in three phases, counters that data picks, a GPT; with their data in `home`."""
    root = str(regression_data(home))
    jobs = {"line": regression(root), "phases": phased(root), "counting": counting(str(token_data(home)))}
    if gpt:
        jobs["gpt"] = on_made_up("char_gpt", made_up(home.folder), TINY_GPT).job
    return [origin(name, job) for name, job in jobs.items()]


def origin(name: str, job: Job) -> Origin:
    plan = compile_for(job, "llvm").plan
    cost = forecast(job, plan, backend("llvm"), 1).total.operations
    return Origin(name, job, plan, DEARER * cost)


# ---- changes


def leaves(value: Any) -> Iterator[Place]:
    """Every (container, key) below `value`."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from leaves(value[key])


def changed(value: Any, chance: random.Random) -> Any:
    """A decoded value with one place changed."""
    whole = copy.deepcopy(value)
    every = list(leaves(whole))
    container, key = chance.choice(every)
    texts = sorted({held[at] for held, at in every if isinstance(held[at], str) and len(held[at]) < 99})
    container[key] = other(container[key], chance, texts)
    return whole


def other(value: Any, chance: random.Random, texts: list[str]) -> Any:
    """Another value in the place of `value`; `texts`: words that stand elsewhere."""
    match value:
        case bool():
            return not value
        case int():
            return chance.choice((value + 1, value - 1, 2 * value, value ^ 1 << chance.randrange(12), 0, -value, 1))
        case str() if "\n" in value:
            return changed_text(value, chance)
        case str():
            return chance.choice([*texts, value + "x"])
        case bytes():
            return flipped(value, chance) if value else b"\0"
        case list() if value:
            return changed_list(value, chance)
        case _:
            return chance.choice((None, [], 0, 1))


def flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def changed_list(value: list[Any], chance: random.Random) -> list[Any]:
    at, to = chance.randrange(len(value)), chance.randrange(len(value))
    found = list(value)
    match chance.randrange(3):
        case 0:
            del found[at]
        case 1:
            found.insert(to, copy.deepcopy(value[at]))
        case _:
            found[at], found[to] = found[to], found[at]
    return found


NUMBER = re.compile(r"(?<![%\w\".])\d+(?![\w\".])")
OPERAND = re.compile(r"%(\d+)(?=[,)])")
BITS = re.compile(r"0x[0-9a-f]+")
LINE = re.compile(r"^ *%(\d+) = (\w+)\(")


def changed_text(text: str, chance: random.Random) -> str:
    """A program's text with something of one line changed: an operand for another of its type, an operation for another
    of its form, a number, bits, what an output is."""
    lines = text.splitlines()
    at = chance.choice([number for number, line in enumerate(lines) if "%" in line])
    lines[at] = chance.choice((another_operand, another_operation, another_number, another_bit))(lines, at, chance)
    return "\n".join(lines) + "\n"


def type_of(line: str) -> str:
    return line.rpartition(" : ")[2]


def another_operand(lines: list[str], at: int, chance: random.Random) -> str:
    line, indent = lines[at], len(lines[at]) - len(lines[at].lstrip())
    used = list(re.finditer(r"%(\d+)", line.partition("=")[2] if "output" not in line else line))
    if not used:
        return line
    chosen = chance.choice(used)[0]
    beside = [before for before in lines[:at] if len(before) - len(before.lstrip()) == indent]
    known = {f"%{found[1]}": type_of(before) for before in beside if (found := LINE.match(before))}
    same = [name for name, type in known.items() if type == known.get(chosen)]
    head, _, tail = line.rpartition(chosen) if chance.random() < 0.5 else line.partition(chosen)
    return head + (chance.choice(same) if same and head.strip() else chosen) + tail


def another_operation(lines: list[str], at: int, chance: random.Random) -> str:
    line = lines[at]
    found = LINE.match(line)
    if not found or found[2] not in OPS:
        return line
    arity = OPS[found[2]].arity
    like = [name for name, op in OPS.items() if op.arity == arity and bool(op.traits & OPS[found[2]].traits)]
    return line.replace(f"= {found[2]}(", f"= {chance.choice(like)}(", 1)


def another_number(lines: list[str], at: int, chance: random.Random) -> str:
    found = list(NUMBER.finditer(lines[at]))
    if not found:
        return lines[at]
    chosen = chance.choice(found)
    number = max(0, other(int(chosen[0]), chance, []))
    return lines[at][: chosen.start()] + str(number) + lines[at][chosen.end() :]


def another_bit(lines: list[str], at: int, chance: random.Random) -> str:
    places = [number for number, line in enumerate(lines) if BITS.search(line)]
    if not places or not BITS.search(lines[at]):
        return lines[at]
    chosen = chance.choice(list(BITS.finditer(lines[at])))
    bits = int(chosen[0], 16) ^ 1 << chance.randrange(32)
    return lines[at][: chosen.start()] + f"0x{bits:0{len(chosen[0]) - 2}x}" + lines[at][chosen.end() :]


# ---- runs


@dataclass(frozen=True)
class Outcome:
    """`code`: the error's, None where the run came to its receipt, which is its bytes."""

    code: str | None
    told: str
    receipt: bytes | None = None


class Mutants:
    """Makes them in `folder` and runs them in children of `cell`; `gpt`: also of a GPT, which takes longer."""

    def __init__(self, folder: Path, cell: Nursery, seed: int, gpt: bool = True) -> None:
        self.home, self.cell, self.chance = Home(folder / "home"), cell, random.Random(seed)
        self.origins, self.counts = origins(self.home, gpt), Counter[str]()
        self.file, self.job_file = folder / "mutant.plan", folder / "mutant.cbor"
        for each in self.origins:
            self._warm(each)

    def _warm(self, each: Origin) -> None:
        """The store keeps the code of what is not changed; a confined process may not add to it."""
        self.file.write_bytes(encode_plan_file(each.job, each.plan))
        assert self.cell.run(self.home.folder, ["run", str(self.file), "--no-sandbox", "--until", "1"]) == 0

    def one(self) -> None:
        chosen = self.chance.choices(self.origins, (4, 3, 4, 1)[: len(self.origins)])[0]
        what = self.chance.choices(("job", "plan", "schedule"), (8, 3, 1))[0]
        made: Callable[[Origin], str] = getattr(self, f"of_{what}")
        self.counts[f"{what}: {made(chosen)}"] += 1

    def of_job(self, chosen: Origin) -> str:
        """A forger changes the job and compiles it: refused, or it means on llvm what it means on the reference."""
        try:
            job = read_job(decode(encode(self._changed_job(chosen.job))))
        except FORGER_GIVES_UP:
            return "refused when read"
        if encode_job(job) == encode_job(chosen.job):
            return "the same again"
        self.job_file.write_bytes(encode_job(job))
        return self._compared([self._forged(on, chosen) for on in ("llvm", "reference")])

    def _forged(self, on: str, chosen: Origin) -> Outcome:
        return self._run(["forge", on, str(self.job_file), str(self.file)], chosen)

    def _changed_job(self, job: Job) -> Value:
        value: Any = decode(encode_job(job))
        if self.chance.random() < 0.3:
            return changed(value, self.chance)
        programs = [(value, "init"), *((value["steps"], i) for i in range(len(value["steps"])))]
        programs += [(evaluation, "program") for evaluation in value["evaluations"]]
        held, key = self.chance.choice([*programs, *programs[1:2] * 3])
        held[key] = changed_text(held[key], self.chance)
        return value

    def kept(self) -> Path:
        """A folder with the last mutant, for whoever looks into it."""
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        for path in (self.file, self.job_file):
            if path.is_file():
                shutil.copy(path, folder)
        return folder

    def _compared(self, outcomes: list[Outcome]) -> str:
        one, other = outcomes
        if any(outcome.code in SPENT for outcome in outcomes):
            return "refused as too dear"
        assert (one.code, one.receipt) == (other.code, other.receipt), (one, other, self.job_file.read_bytes().hex())
        return "executed, as the reference has it" if one.code is None else f"ended by {one.code} on both"

    def of_plan(self, chosen: Origin) -> str:
        """The plan alone is changed: it is not what its job compiles to, unless for another machine like this one."""
        data = encode(changed(decode(encode_plan(chosen.plan)), self.chance))
        if data == encode_plan(chosen.plan):
            return "the same again"
        self.file.write_bytes(encode({"format": 1, "job": encode_job(chosen.job), "plan": data}))
        outcome = self._run(["run", str(self.file)], chosen)
        if outcome.code is None:
            return self._as_the_reference(outcome, chosen)
        assert outcome.code in ("E0601", "E0602", "E0510", "E0811"), (outcome, data.hex())
        return f"refused by {outcome.code}{', though every access is in bounds' if is_plan(data) else ''}"

    def of_schedule(self, chosen: Origin) -> str:
        """A kernel is executed in another way that it might have been given: the receipt is the same."""
        plan = with_other_schedules(chosen.plan, self.chance)
        self.file.write_bytes(encode_plan_file(chosen.job, plan))
        return self._as_the_reference(self._run(["run", str(self.file)], chosen), chosen)

    def _as_the_reference(self, outcome: Outcome, chosen: Origin) -> str:
        self.job_file.write_bytes(encode_job(chosen.job))
        return self._compared([outcome, self._forged("reference", chosen)])

    def _run(self, words: list[str], chosen: Origin) -> Outcome:
        """In a home without runs, confined, with budgets."""
        shutil.rmtree(self.home.folder / "runs", ignore_errors=True)
        limits = ["--most-memory", MEMORY, "--most-flop", str(chosen.flop), "--threads", "1", "--json"]
        status = self.cell.run(self.home.folder, [*words, *limits, "--confined"])
        told = (self.home.folder / "said").read_text()
        assert os.WIFEXITED(status), (status, words, told, self.file.read_bytes().hex()[:2000])
        if os.WEXITSTATUS(status) == 0:
            return Outcome(None, told, Path(json.loads(told.splitlines()[-1])["receipt"]).read_bytes())
        code = re.search(r"error\[(E0[1-8]\d\d)\]", told)
        assert code is not None and "Traceback" not in told, (words, told)
        return Outcome(code[1], told)


FORGER_GIVES_UP = (JobFormatError, ValueError)


def is_plan(data: bytes) -> bool:
    """Whether it is a plan by itself: every access of every kernel is proved to lie in its buffer."""
    try:
        check_plan(decode_plan(data))
    except (PlanFormatError, IllFormed):
        return False
    return True


def with_other_schedules(plan: Plan, chance: random.Random) -> Plan:
    """Each kernel with one of the schedules that it may have."""
    routines = []
    for routine in plan.routines:
        chosen = [chance.choice(possible_schedules(kernel, plan.target)) for kernel in routine.kernels]
        routines.append(replace(routine, schedules=tuple(chosen)))
    return replace(plan, routines=tuple(routines))


def main(seconds: float, seed: int) -> None:
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, Nursery("tests.security.cell") as cell:
        mutants, end = Mutants(Path(folder), cell, seed), time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                mutants.one()
            except AssertionError:
                print(f"kept in {mutants.kept()}", file=sys.stderr)
                raise
    for what, count in sorted(mutants.counts.items()):
        print(f"{count:>7,}  {what}")
    print(f"{sum(mutants.counts.values()):>7,}  in all, seed {seed}")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
