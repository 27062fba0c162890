"""Admission: asked once per device and driver, kept, and refused for whatever goes wrong; no driver is one clear line.

Nothing here needs a device: the child's place is taken by answers.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobspec.backends.conformance import asking
from jobspec.backends.opencl import admission
from jobspec.ir.errors import UsageError
from tests.cli.conftest import Call

DEVICE = {"name": "P 1 / D / 2", "shape": "gpu", "memory": 100}


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was asked; each answer is taken from the folder's file of that name."""
    found: list[tuple[str, ...]] = []

    def asked(module: str, *arguments: str) -> tuple[list[dict[str, str]], str]:
        found.append(arguments[1:])
        file = tmp_path / ("clauses" if arguments[1:] else "devices")
        lines = json.loads(file.read_text()) if file.exists() else []
        return lines, (tmp_path / "end").read_text() if arguments[1:] and (tmp_path / "end").exists() else ""

    monkeypatch.setattr(asking, "asked", asked)
    monkeypatch.setattr(admission, "folder", lambda: tmp_path / "kept")
    monkeypatch.setattr(admission, "find_spec", lambda name: object())
    monkeypatch.setattr(admission.metadata, "version", lambda name: "1")
    (tmp_path / "devices").write_text(json.dumps([DEVICE]))
    return found


def test_the_answer_is_kept(child: list[tuple[str, ...]]) -> None:
    for _ in range(3):
        assert admission.chosen().name == DEVICE["name"]
    assert child.count((DEVICE["name"],)) == 1


def test_another_driver_is_asked_again(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    admission.chosen()
    (tmp_path / "devices").write_text(json.dumps([{**DEVICE, "name": "P 1 / D / 3"}]))
    admission.chosen()
    assert child.count(("P 1 / D / 3",)) == 1


def test_a_device_is_refused_by_clause(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    answers = [{"clause": "sums", "wrong": ""}, {"clause": "fma rounds once", "wrong": "3 of 9 differ"}]
    (tmp_path / "clauses").write_text(json.dumps(answers))
    with pytest.raises(UsageError) as caught:
        admission.chosen()
    assert caught.value.code == "E0833" and "fma rounds once: 3 of 9 differ" in caught.value.reason


def test_a_driver_that_aborts_is_refused(child: list[tuple[str, ...]], tmp_path: Path) -> None:
    (tmp_path / "end").write_text("it stopped with code -6: ld is missing")
    with pytest.raises(UsageError) as caught:
        admission.chosen()
    assert "the driver runs: it stopped with code -6: ld is missing" in caught.value.reason


def test_the_second_device_is_taken_where_the_first_is_refused(
    child: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "devices").write_text(json.dumps([DEVICE, {**DEVICE, "name": "other"}]))
    wrong = {DEVICE["name"]: (("sums", "wrong"),), "other": ()}
    monkeypatch.setattr(admission, "examined", wrong.__getitem__)
    assert admission.chosen().name == "other"


def test_no_runtime_is_one_line_and_exit_code_2(
    child: list[tuple[str, ...]], tmp_path: Path, call: Call, tiny: Path
) -> None:
    (tmp_path / "devices").write_text("[]")
    said = call("run", tiny, "--on", "opencl")
    assert said.code == 2
    error, help = said.err.strip().splitlines()
    assert error.startswith("error[E0832]: no OpenCL runtime") and help.startswith("help: ")


def test_without_pyopencl_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, call: Call, tiny: Path) -> None:
    monkeypatch.setattr(admission, "find_spec", lambda name: None)
    said = call("run", tiny, "--on", "opencl")
    assert said.code == 2 and "error[E0832]" in said.err and "pip install jobspec[opencl]" in said.err
    assert "Traceback" not in said.err


def test_a_start_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "find_spec", lambda name: object())
    monkeypatch.setattr(asking, "asked", lambda module, *words: ([], "it stopped with code 1: a library is missing"))
    with pytest.raises(UsageError, match="a library is missing") as caught:
        admission.chosen()
    assert caught.value.code == "E0832"
