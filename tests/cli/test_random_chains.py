"""Random models (tests/models) through all that the command line does with a job: written anew, compiled, run on one
and two threads, stopped and taken up, verified in full and by samples, traced, and disputed with a run whose one step
went wrong. No command ends in a traceback, every run in one receipt, and every verdict is the right one.

A fault that changes nothing that a receipt binds is none: then the two receipts are equal, and there is no difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import api
from jobspec.backends.reference.numbers import Array
from jobspec.ir.program import Node
from jobspec.store.home import Home
from jobspec.verify.follow import Keep
from tests.cli.conftest import Answer, Call, call, home
from tests.device_kernels import RELAXED
from tests.models.texts import models
from tests.test_random_runs import Way, prepared, ways
from tests.verify.faulty import Inputs, Machine, faulty_run, flipped

__all__ = ["call", "home"]
SHOWN = (
    *(("show", *view) for view in ((), ("--params",), ("--axes",), ("--ir",), ("--kernels",), ("--schedule",))),
    ("show", "--memory"),
    ("hash", "--explain"),
    ("plan",),
    ("profile", "--steps", "1"),
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `what` of the step `step` (modulo their number), at its `number`th place, in `bit`."""

    what: str
    step: int
    number: int
    bit: int
    traces: bool


faults = st.builds(
    Fault,
    st.sampled_from(["result", "result", "state", "batch", "step", "skips"]),
    st.integers(0, 5),
    st.integers(0, 60),
    st.integers(0, 22),
    st.booleans(),
)


class Wrong(Machine):
    """A machine with the fault `fault`."""

    fault: Fault

    def __init__(self, keep: Keep) -> None:
        super().__init__(keep)
        self.skips = self.fault.what == "skips"
        self.left_over = self.fault.number

    def inputs(self, inputs: Inputs) -> Inputs:
        if self.fault.what == "step":
            return {**inputs, "step": inputs["step"] + np.int32(1)}
        starts = {"state": "", "batch": "batch."}.get(self.fault.what)
        names = [n for n, x in inputs.items() if starts is not None and n.startswith(starts) and is_real(x)]
        return {**inputs, **{n: self._flip(inputs[n]) for n in names[self.fault.number % max(len(names), 1) :][:1]}}

    def result(self, node: Node, value: Array, operands: list[Array]) -> Array:
        if self.fault.what != "result" or not is_real(value):
            return value
        self.left_over -= 1
        return self._flip(value) if self.left_over == -1 else value

    def _flip(self, value: Array) -> Array:
        return flipped(value, self.fault.number % value.size, self.fault.bit)


def is_real(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float32 and value.size > 0


@dataclass
class Chain:
    """A job's text at `path`; `said(home, command…)` runs a command with the store `home`."""

    call: Call
    patch: pytest.MonkeyPatch
    folder: Path
    path: Path

    def said(self, home: str, *words: object, code: int = 0) -> Answer:
        self.patch.setenv("JOBSPEC_HOME", str(self.folder / home))
        answer = self.call(*words)
        assert answer.code == code, (words, answer)
        return answer

    def run(self, home: str, *words: object) -> dict[str, object]:
        return self.said(home, "run", *words, "--json").json


def check_chain(chain: Chain, way: Way, fault: Fault, all_shown: bool) -> None:
    for name in "bc":
        copytree(chain.folder / "a", chain.folder / name)
    receipt = trained(chain, way)
    verified(chain, receipt, way)
    if all_shown:
        shown(chain, receipt)
    if "compute = fast" not in chain.path.read_text():  # whose receipts name devices
        settled(chain, receipt.parent, fault)


def trained(chain: Chain, way: Way) -> Path:
    """The receipt of the text's runs: of its plan, and of itself, stopped and taken up."""
    path, plan = chain.path, chain.path.with_suffix(".plan")
    name = chain.said("a", "hash", path, "--json").json["job"]
    chain.said("a", "check", path)
    chain.said("a", "fmt", path)
    chain.said("a", "fmt", "--check", path)
    assert chain.said("a", "compile", path, "-o", plan, "--json").json["job"] == name
    whole = chain.run("a", plan, "--threads", 1, "--on", "llvm")
    part = chain.run("b", path, "--threads", 2, "--until", way.stop, "--on", "llvm")
    rest = chain.run("b", path, "--threads", way.threads, "--on", "llvm")
    again = chain.run("a", path, "--threads", 2, "--on", "llvm", "--again")
    assert part["steps"] == min(way.stop, int(str(whole["steps"])))
    assert whole["job"] == name and whole["state"] == rest["state"] == again["state"]
    one, other = (Path(str(run["receipt"])) for run in (whole, rest))
    assert one.read_bytes() == other.read_bytes()
    return one


def verified(chain: Chain, receipt: Path, way: Way) -> None:
    full = chain.said("b", "verify", receipt, "--on", "reference", "--json").json
    sampled = chain.said("b", "verify", receipt, "--on", "llvm", "--sample", way.stop, "--json").json
    assert (full["verdict"], sampled["verdict"]) == ("ACCEPT", "ACCEPT-SAMPLED")


def shown(chain: Chain, receipt: Path) -> None:
    """Whatever is asked about the job and its run has an answer; the text with its imports in it is the same job."""
    path, inline = chain.path, chain.path.with_name("inline.job")
    for words in SHOWN:
        chain.said("a", *words, path)
    chain.said("a", "fmt", "--inline", path, "-o", inline)
    for other in (inline, receipt):
        chain.said("a", "diff", path, other)
    for words in (("report", path, "-o", path.with_suffix(".html")), ("export", path, "-o", path.with_suffix(".st"))):
        chain.said("a", *words)
    weights = receipt.with_name("weights.safetensors").read_bytes()
    assert path.with_suffix(".html").is_file() and path.with_suffix(".st").read_bytes() == weights
    for words in (("verify",), ("gc", "--dry-run"), ("ls",)):
        chain.said("a", "store", *words)


def settled(chain: Chain, good: Path, fault: Fault) -> None:
    """The wrong run is refused, and a dispute with the right one names it and the step, in both orders."""
    homes = [Home(chain.folder / name) for name in "ac"]
    job = api.load(chain.path, home=homes[0].folder).job
    step = fault.step % job.steps
    machine = type("Machine", (Wrong,), {"fault": fault})
    wrong = faulty_run(job, homes[0], homes[1], step, machine, traces=fault.traces).path
    if fault.traces:
        chain.said("a", "trace", good, "--step", step, "--values")
    found = (wrong / "receipt.cbor").read_bytes() != (good / "receipt.cbor").read_bytes()
    for pair in ((good, wrong), (wrong, good)):
        settlement = chain.said("a", "dispute", *pair, "--json", code=4 * found).json
        assert settlement["wrong"] == [str(wrong)] * found, settlement
        assert settlement["step"] == (step if found and fault.traces else None), settlement
    for how in ((), ("--sample", 99)):
        said = chain.said("c", "verify", wrong, "--on", "reference", *how, "--json", code=4 * found).json
        assert said["verdict"].startswith("REJECT" if found else "ACCEPT")


Prepare = Callable[[str, Way, int], Chain]


@pytest.fixture
def prepare(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """`prepare(text, way, every)`: with its data in a store of its own, and a root after so many steps."""

    def prepared_chain(text: str, way: Way, every: int) -> Chain:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        text = prepared(Home(folder / "a"), text, way).replace("train {\n", f"train {{\n  roots = {every}\n")
        path = folder / "random.job"
        path.write_text(f"{text}save {{ every = {every}; keep = all }}\n")
        return Chain(call, monkeypatch, folder, path)

    return prepared_chain


def calm(chain: Chain, way: Way, fault: Fault, all_shown: bool = False) -> None:
    """A job whose state becomes infinite ends so wherever it runs."""
    try:
        check_chain(chain, way, fault, all_shown)
    except AssertionError as error:
        if "E0502" not in str(error):
            raise


@settings(RELAXED, max_examples=1)
@given(models(steps=4), ways, faults, st.integers(1, 3))
def test_chains(prepare: Prepare, text: str, way: Way, fault: Fault, every: int) -> None:
    calm(prepare(text, way, every), way, fault)


@pytest.mark.slow
@settings(RELAXED, max_examples=40)
@given(models(steps=14), ways, faults, st.integers(1, 3))
def test_many_chains(prepare: Prepare, text: str, way: Way, fault: Fault, every: int) -> None:
    calm(prepare(text, way, every), way, fault, all_shown=True)
