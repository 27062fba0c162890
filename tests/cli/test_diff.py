"""`jobspec diff`: what differs is said in the words of the texts, and what does not is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call

REFERENCE = ("--on", "reference")


@pytest.fixture
def other(tiny: Path) -> Path:
    return tiny.with_name("other.job")


def changed(tiny: Path, other: Path, *edits: tuple[str, str]) -> None:
    text = tiny.read_text()
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    other.write_text(text)


def test_the_same_job_however_it_is_written(call: Call, tiny: Path, other: Path) -> None:
    changed(tiny, other, ("  steps = 12\n", "\n  steps =    12  # as before\n"))
    said = call("diff", tiny, other)
    assert said.code == 0 and said.out.startswith("the same job: b3:") and len(said.out.splitlines()) == 1
    answer = call("diff", tiny, other, "--json").json
    assert answer["same"] and answer["jobs"][0] == answer["jobs"][1]
    assert answer["parts"] == answer["differences"] == answer["texts"] == answer["programs"] == []


@pytest.mark.parametrize(
    ("edit", "part", "difference"),
    [
        (("seed = 3", "seed = 4"), "seed", ("seed", "", "3", "4")),
        (("steps = 12", "steps = 13"), "steps", ("phase", "", "12 steps", "13 steps")),
        (("B=4", "B=2"), "batches", ("axis", "B", "4", "2")),
        (("Y=2", "Y=3"), "state", ("parameter", "w", "X=3 Y=2", "X=3 Y=3")),
        (("normal(.5)", "normal(.25)"), "init", ("first value", "w", "computed otherwise", "computed otherwise")),
        (("state m = 0", "state n = 0\n  n := g\n  state m = 0"), "state", ("optimizer state", "w/n", None, "X=3 Y=2")),
        (("shuffle(", "sequence("), "stream", ("batch", "", "4 of shuffle(train): x y", "4 of sequence(train): x y")),
    ],
)
def test_values(
    call: Call, tiny: Path, other: Path, edit: tuple[str, str], part: str, difference: tuple[str, str, str, str]
) -> None:
    changed(tiny, other, edit)
    said = call("diff", tiny, other, "--json")
    keys = ("part", "name", "first", "second")
    found = [tuple(d[key] for key in keys) for d in said.json["differences"] if d["decides"]]
    assert said.code == 1 and part in said.json["parts"] and difference in found


def test_a_statement(call: Call, tiny: Path, other: Path) -> None:
    changed(tiny, other, ("m := .5*m + g", "m := .9*m + g"))
    said = call("diff", tiny, other)
    assert said.code == 1 and "what differs of the job hash: step\n" in said.out
    assert "optim sgd:\n  - tiny.job:12: m := .5*m + g\n  + other.job:12: m := .9*m + g" in said.out
    assert call("diff", tiny, other, "--json").json["programs"][0]["first"] == [{"number": 12, "text": "m := .5*m + g"}]


def test_a_default_changes_the_lines_that_use_it(call: Call, tiny: Path, other: Path) -> None:
    text = tiny.read_text().replace("optim sgd(p, g, lr)", "optim sgd(p, g, lr, mu=.5)").replace(".5*m", "mu*m")
    tiny.write_text(text)
    changed(tiny, other, ("mu=.5", "mu=.9"))
    said = call("diff", tiny, other).out
    assert "step, in consequence:\n  - tiny.job:12: m := mu*m + g" in said


def test_a_size_alone_names_no_line_that_both_have(call: Call, tiny: Path, other: Path) -> None:
    changed(tiny, other, ("Y=2", "Y=5"))
    answer = call("diff", tiny, other, "--json").json
    assert all(not places["first"] and not places["second"] for places in answer["programs"])
    assert [places["where"] for places in answer["texts"]] == ["dim Y"]


def test_what_decides_nothing_is_set_apart(call: Call, tiny: Path, other: Path) -> None:
    changed(tiny, other, ("job tiny", "job other"), ("every = 4", "every = 6"))
    said = call("diff", tiny, other)
    assert said.code == 0 and said.out.startswith("the same job: ")
    assert "eval (not part of the job hash):" in said.out and "  name " in said.out


def test_a_plan_and_a_receipt_stand_for_their_job(call: Call, tiny: Path, other: Path, tmp_path: Path) -> None:
    plan = tmp_path / "tiny.plan"
    assert call("compile", tiny, *REFERENCE, "-o", plan).code == 0
    receipt = call("run", tiny, *REFERENCE, "--json").json["receipt"]
    assert call("diff", tiny, plan).code == call("diff", tiny, receipt).code == call("diff", plan, receipt).code == 0
    changed(tiny, other, ("m := .5*m + g", "m := .9*m + g"))
    assert "text.job:12: m := .5*m + g" in call("diff", receipt, other).out
    said = call("diff", plan, other)
    assert said.code == 1 and "step: computes something else" in said.out


def test_files_that_stand_for_no_job(call: Call, tiny: Path, tmp_path: Path) -> None:
    receipt = Path(call("run", tiny, *REFERENCE, "--json").json["receipt"])
    alone = tmp_path / "alone" / "receipt.cbor"
    alone.parent.mkdir()
    alone.write_bytes(receipt.read_bytes()[:-1])
    assert "[E0822]" in call("diff", tiny, alone).err
    assert call("diff", tiny, tmp_path / "none.job").code == 2
