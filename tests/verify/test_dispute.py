"""Disputes: every planted fault is found by record, step, operation and element, and the right side is named."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobspec.backends.reference.meaning import MEANING
from jobspec.backends.reference.numbers import Array
from jobspec.ir.codec.receipt import decode_receipt, encode_receipt
from jobspec.ir.digest import Digest, digest
from jobspec.ir.errors import DataError, MismatchError, UsageError
from jobspec.ir.job import Job
from jobspec.ir.program import Node
from jobspec.loading import read_spec, text_spec
from jobspec.runtime.run import Order, run
from jobspec.store.home import Home
from jobspec.verify import settling, tracing
from jobspec.verify.dispute import Settlement
from jobspec.verify.follow import Keep
from jobspec.verify.frames import linked
from jobspec.verify.narrow import Rounds
from jobspec.verify.replaying import Means
from tests.runtime.jobs import compiled, home_at, regression, regression_data, sets_of, train
from tests.spec_jobs import real
from tests.verify.faulty import Inputs, Machine, faulty_run, flipped

SPECS = Path(__file__).parents[2] / "specs"
OTHER = digest("test", b"other")
#: the step that goes wrong, of 24 with a root every 8: the second record
STEP, RECORD = 13, 1

DEEP = """
job deep
dim B=4, X=3, L=3
data d = table(ROOT, x=f32[X], y=f32)
layer net(x) {
  param v: X ~ normal(1)
  repeat L {
    param w: X -> X' ~ normal(.5)
    x = x + sin(x @ w)[X'->X]
  }
  dot[X](x, v)
}
optim momentum(p, g, lr) {
  state m = 0
  m := .9*m + g
  p := p - lr*m
}
train {
  seed = 3; steps = 24; roots = 8; batch = shuffle(d)
  loss = mean[B]((net(batch.x) - batch.y)^2)
  update all by momentum(.01*(steps - step)/steps)
}
"""


class Flip(Machine):
    """Flips a bit of element `place` of what the `number`th operation of a kind gives."""

    op, number, place, bit, at_turn = "mul", 0, 0, 20, -1

    def __init__(self, keep: Keep) -> None:
        super().__init__(keep)
        self.seen = 0

    def result(self, node: Node, value: Array, operands: list[Array]) -> Array:
        if node.op != self.op or value.size <= self.place or self.turn != self.at_turn:
            return value
        self.seen += 1
        return flipped(value, self.place, self.bit) if self.seen == self.number + 1 else value


class Activation(Flip):
    """A bit of an activation, in the second turn of the forward loop."""

    op, at_turn, place = "sin", 1, 2


class Rate(Flip):
    """The learning rate: what multiplies or divides scalars first."""

    op, place = "div", 0


class Narrow(Machine):
    """A bf16 detour: operands of every contraction lose their last 16 bits."""

    def result(self, node: Node, value: Array, operands: list[Array]) -> Array:
        if node.op != "contract":
            return value
        cut = [(np.ascontiguousarray(x).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32) for x in operands]
        narrow: Array = MEANING["contract"](node, *cut)
        return narrow


class Weight(Machine):
    """A bit of a weight, in memory between two steps."""

    name, place = "w", 4

    def inputs(self, inputs: Inputs) -> Inputs:
        return {**inputs, self.name: flipped(inputs[self.name], self.place, 20)}


class Momentum(Weight):
    """A bit of what the optimizer keeps."""

    name, place = "v/m", 1


class Swapped(Machine):
    """The examples of the batch in another order."""

    def inputs(self, inputs: Inputs) -> Inputs:
        return {**inputs, **{name: np.roll(x, 1, 0) for name, x in inputs.items() if name.startswith("batch.")}}


class Stale(Machine):
    """One number of the data as it was before it was mended."""

    def inputs(self, inputs: Inputs) -> Inputs:
        name = next(name for name in inputs if name.endswith(".x"))
        return {**inputs, name: flipped(inputs[name], 5, 22)}


class Repeated(Machine):
    """A step done with the number of the one before."""

    def inputs(self, inputs: Inputs) -> Inputs:
        return {**inputs, "step": inputs["step"] - np.int32(1)}


class Skipped(Machine):
    """A step that left the state as it was."""

    skips = True


class Between(Machine):
    """A bit of what one turn of a loop hands to the next."""

    def handed(self, given: list[Array]) -> list[Array]:
        return [given[0], flipped(given[1], 1, 9), *given[2:]] if self.turn == 2 else given


class Turned(Machine):
    """A turn that takes another turn's weights."""

    def handed(self, given: list[Array]) -> list[Array]:
        wanted = next((i for i, x in enumerate(given) if x.shape == (3, 3)), None)
        return [flipped(x, 0, 9) if i == wanted and self.turn == 1 else x for i, x in enumerate(given)]


class Assembled(Machine):
    """A bit of a result between the loop's end and whoever reads it."""

    def left(self, results: tuple[Array, ...]) -> tuple[Array, ...]:
        return (*results[:-1], flipped(results[-1], 0, 9))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the data and a run that is right, traced."""
    home = home_at(tmp_path_factory.mktemp("good"))
    job = deep(home)
    train(job, home)
    return home


def deep(home: Home) -> Job:
    root = str(regression_data(home))
    job = text_spec(DEEP.replace("ROOT", root), {}, home).job
    return replace(job, save_every=8, keep=0)


def right(home: Home, step: int = STEP, traces: bool = True) -> Path:
    """The right run's folder, with traces of the step."""
    (folder,) = home.runs.iterdir()
    if traces:
        settling.trace(folder, step, True, means(home))
    return folder


def means(home: Home) -> Means:
    return Means(home, "reference", 1)


def settled(home: Home, tmp_path: Path, make: Callable[[Keep], Machine], traces: bool = True) -> Settlement:
    """A dispute of the right run, called A here, with one that went wrong, called B; in both orders the same."""
    good = right(home, traces=traces)
    wrong = faulty_run(deep(home), home, home_at(tmp_path / "b"), STEP, make, traces).path
    names = {str(good): "A", str(wrong): "B"}
    one, other = (settling.dispute(*pair, means(home)) for pair in ((good, wrong), (wrong, good)))
    assert one.wrong == other.wrong and one.step == other.step and one.element == other.element
    return replace(one, wrong=tuple(names[name] for name in one.wrong))


@pytest.fixture(autouse=True)
def no_traces_left(good: Home) -> None:
    for path in right(good, traces=False).glob("traces/*"):
        path.unlink()


@pytest.mark.parametrize(
    ("make", "operation", "words"),
    [
        (Activation, "sin", ("(a loop), turn 1", "element [0, 2]", "sin(")),
        (Rate, "div", ("div(", "element []")),
        (Narrow, "contract", ("contract(", "element [")),
        (Weight, "state", ("another state than the step before left", "tensor `w`, element [0, 1, 1]")),
        (Momentum, "state", ("another state than the step before left", "tensor `v/m`, element [1]")),
        (Swapped, "what it is given as `batch.x`", ("batch.x",)),
        (Stale, "what it is given as `batch.x`", ("batch.x",)),
        (Repeated, "what it is given as `step`", ("`step`",)),
        (Between, "what it is given as `input 1 of the loop's body`", ("turn 2",)),
        (Turned, None, ("turn 1", "of the loop's body")),
        (Assembled, None, ("(a loop)", "result")),
    ],
)
def test_every_fault_is_named(
    good: Home, tmp_path: Path, make: type[Machine], operation: str | None, words: Sequence[str]
) -> None:
    found = settled(good, tmp_path, make)
    assert found.wrong == ("B",) and (found.record, found.step) == (RECORD, STEP), found
    assert operation is None or found.operation == operation
    text = str(found)
    assert all(word in text for word in words), text
    assert 3 <= found.rounds <= 40


def test_a_skipped_step_is_named(good: Home, tmp_path: Path) -> None:
    """Its trace is of a step that was done, so it does not leave the state that was claimed."""
    found = settled(good, tmp_path, Skipped)
    assert found.wrong == ("B",) and found.step == STEP
    assert "does not leave the state that it claims" in found.where[0]


@pytest.mark.parametrize(
    "make", [Activation, Rate, Narrow, Weight, Momentum, Swapped, Stale, Repeated, Skipped, Between]
)
def test_without_traces_the_referee_computes(good: Home, tmp_path: Path, make: type[Machine]) -> None:
    """The segment is computed once; log and checkpoint of the wrong side say from where it differs."""
    found = settled(good, tmp_path, make, traces=False)
    assert found.wrong == ("B",) and found.record == RECORD and found.step is None
    text = str(found)
    assert "tensor `" in text and "after step 15" in text
    named = re.search(r": step (\d+) is the first", text)
    assert named is None or int(named[1]) in (STEP, STEP + 1)


def test_two_runs_that_are_both_wrong(good: Home, tmp_path: Path) -> None:
    runs = [faulty_run(deep(good), good, home_at(tmp_path / m.__name__), STEP, m).path for m in (Rate, Narrow)]
    found = settling.dispute(runs[0], runs[1], means(good))
    assert found.step == STEP and found.wrong in ((str(runs[0]),), (str(runs[1]),))
    for path in (*runs[0].glob("traces/*"), *runs[1].glob("traces/*")):
        path.unlink()
    found = settling.dispute(runs[0], runs[1], means(good))
    assert found.wrong == (str(runs[0]), str(runs[1]))


def test_equal_receipts_are_no_dispute(good: Home) -> None:
    folder = right(good)
    found = settling.dispute(folder, folder / "receipt.cbor", means(good))
    assert found.wrong == () and str(found).startswith("no difference")


def test_different_jobs_are_no_dispute(good: Home, tmp_path: Path) -> None:
    other = home_at(tmp_path / "other")
    run = train(regression(str(regression_data(other))), other).folder
    with pytest.raises(UsageError, match="is a run of the job") as caught:
        settling.dispute(right(good), run.path, means(good))
    assert caught.value.code == "E0845"


def test_a_receipt_alone_names_no_job_that_is_known(good: Home, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "receipt.cbor").write_bytes((right(good, traces=False) / "receipt.cbor").read_bytes())
    with pytest.raises(DataError, match=f"of {alone}/receipt.cbor is not known here") as caught:
        settling.dispute(alone, right(good), means(home_at(tmp_path / "elsewhere")))
    assert caught.value.code == "E0604" and "job.cbor" in str(caught.value.help)


def test_a_file_that_is_no_trace_is_named(good: Home, tmp_path: Path) -> None:
    wrong = faulty_run(deep(good), good, home_at(tmp_path / "b"), STEP, Rate).path
    path = wrong / "traces" / f"step-{STEP}.cbor"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=f"{path} is no trace") as caught:
        settling.dispute(right(good), wrong, means(good))
    assert caught.value.code == "E0711" and "jobspec trace" in str(caught.value.help)


class Lying(Flip):
    """A device whose multiplications are wrong, as the reference is told here."""

    op, number = "mul", 3


def test_a_backend_that_is_not_the_reference_makes_no_trace(good: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "Follower", Lying)
    with pytest.raises(MismatchError, match=f"step {STEP} leaves the state b3:.* on this backend") as caught:
        right(good)
    assert caught.value.code == "E0512" and "jobspec devices" in str(caught.value.help)
    assert not list(right(good, traces=False).glob("traces/*"))


class Late(Flip):
    """A bit of a product in the third layer's attention."""

    op, at_turn, place, number = "contract", 2, 12345, 3


@pytest.mark.slow
def test_the_last_step_on_char_gpt(shared_data: Path, tmp_path: Path) -> None:
    """A run of a real size: few rounds, and little memory for all that the referee does."""
    home = real(tmp_path / "a", shared_data)
    spec = read_spec(SPECS / "char_gpt.job", {"train.steps": "300"}, home)
    job = replace(spec.job, evaluations=(), save_every=100, keep=0)
    good = run(compiled(job, "llvm"), lambda: sets_of(job, home), home, Order(2)).folder.path
    wrong = faulty_run(job, home, home_at(tmp_path / "b"), 250, Late, on="llvm").path
    means = Means(home, "llvm", 2)
    settling.trace(good, 250, True, means)
    tracemalloc.start()
    found = settling.dispute(good, wrong, means)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.wrong == (str(wrong),) and (found.record, found.step, found.operation) == (2, 250, "contract")
    assert found.element == (1, 32, 1, 25) and found.rounds <= 40 and peak < 100 << 20


def copied(good: Home, tmp_path: Path, **fields: object) -> Path:
    """The right run with other words in its receipt."""
    source = right(good)
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    receipt = decode_receipt((source / "receipt.cbor").read_bytes())
    (folder / "receipt.cbor").write_bytes(encode_receipt(replace(receipt, **fields)))  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("steps", 23, "`steps`"),
        ("data", (OTHER,), "`data`"),
        ("start", OTHER, "the initial state is"),
        ("chain", OTHER, "no log beside its receipt"),
        ("end", OTHER, "the step records end at"),
    ],
)
def test_what_follows_from_the_job_needs_no_steps(
    good: Home, tmp_path: Path, field: str, value: object, words: str
) -> None:
    wrong = copied(good, tmp_path, **{field: value})
    found = settling.dispute(right(good), wrong, means(good))
    assert found.wrong == (str(wrong),) and any(words in line for line in found.where)


def test_a_trace_must_lead_to_what_is_claimed(good: Home, tmp_path: Path) -> None:
    """A prover who shows the right traces for its wrong run is wrong, by its own words."""
    honest = right(good)
    wrong = faulty_run(deep(good), good, home_at(tmp_path / "b"), STEP, Rate).path
    for name in (f"segment-{RECORD}.cbor", f"step-{STEP}.cbor"):
        own = (wrong / "traces" / name).read_bytes()
        (wrong / "traces" / name).write_bytes((honest / "traces" / name).read_bytes())
        found = settling.dispute(honest, wrong, means(good))
        assert found.wrong == (str(wrong),) and "trace" in found.where[-1]
        (wrong / "traces" / name).write_bytes(own)


def test_a_value_that_is_not_shown_loses(good: Home, tmp_path: Path) -> None:
    honest = right(good)
    wrong = faulty_run(deep(good), good, home_at(tmp_path / "b"), STEP, Narrow).path
    values = wrong / "traces" / f"step-{STEP}.values"
    data = bytearray(values.read_bytes())
    values.write_bytes(bytes(255 - byte for byte in data))
    found = settling.dispute(honest, wrong, means(good))
    assert found.wrong == (str(wrong),) and "does not hold the value" in found.where[-1]


@pytest.mark.parametrize("kept", [(False, False), (True, False), (False, True)])
def test_a_trace_without_values_makes_no_one_wrong(good: Home, tmp_path: Path, kept: tuple[bool, bool]) -> None:
    honest = right(good)
    wrong = faulty_run(deep(good), good, home_at(tmp_path / "b"), STEP, Narrow).path
    for folder, values in zip((honest, wrong), kept, strict=True):
        if not values:
            (folder / "traces" / f"step-{STEP}.values").unlink()
    for pair in ((honest, wrong), (wrong, honest)):
        found = settling.dispute(*pair, means(good))
        assert found.wrong == (str(wrong),) and found.step == STEP and found.operation is None
        assert any("made without `--values`" in line for line in found.where)


def test_no_step_beyond_the_log(good: Home) -> None:
    with pytest.raises(UsageError, match="no step 24") as caught:
        right(good, step=24)
    assert caught.value.code == "E0844"


@given(st.lists(st.integers(0, 3), min_size=1, max_size=400), st.data())
def test_the_first_difference_is_found_in_few_rounds(items: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(items)))
    changed = [n + (i >= place) for i, n in enumerate(items)]
    one, other = linked(items), linked(changed)
    rounds = Rounds()

    def told(links: Sequence[Digest]) -> Callable[[Sequence[int]], list[Digest]]:
        return lambda places: [links[p] for p in places]

    found = rounds.first_difference(len(items), told(one), told(other))
    assert found == (place if place < len(items) else None)
    assert rounds.asked <= 4
