"""Commands that take a run by its folder, finished or not, and weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.cli.conftest import ROOT, Call

REFERENCE = ("--on", "reference")


@pytest.fixture
def runs(tiny: Path, home: Path) -> Path:
    return home / "runs"


def run_of(call: Call, tiny: Path, runs: Path, *more: object) -> Path:
    """Its folder."""
    before = set(runs.glob("*"))
    assert call("run", tiny, *REFERENCE, *more).code == 0
    (made,) = set(runs.glob("*")) - before
    return made


def test_diff_takes_runs(call: Call, tiny: Path, runs: Path) -> None:
    one = run_of(call, tiny, runs)
    other = run_of(call, tiny, runs, "--set", "seed=4", "--until", "3")
    said = call("diff", one, other)
    assert said.code == 1 and "seed  3 → 4" in said.out and "seed = 4" in said.out
    assert call("diff", one, tiny).code == 0
    said = call("diff", one, runs)
    assert said.code == 2 and f"error[E0822]: {runs} is no run's folder: it has no job.cbor" in said.err


def test_weights_of_a_run(call: Call, tiny: Path, runs: Path) -> None:
    folder = run_of(call, tiny, runs, "--until", "3")
    unfinished = call("weights", "show", folder)
    assert unfinished.code == 0 and "w  3 × 2\n" in unfinished.out
    assert call("run", tiny, *REFERENCE).code == 0
    assert "w  3 × 2\n" in call("weights", "show", folder).out
    said = call("weights", "show", runs)
    assert said.code == 2 and f"error[E0890]: there are no weights of a run in {runs}" in said.err


@pytest.mark.parametrize(
    ("name", "words"),
    [("model.norm.weight", "`model.embed_tokens.weight`"), ("model.embed_tokens.weight", "[100, 64], and the job")],
)
def test_another_program_s_weights_that_do_not_fit(call: Call, tmp_path: Path, name: str, words: str) -> None:
    file = tmp_path / "theirs.safetensors"
    save_file({name: np.zeros((100, 64), "f4")}, file)
    said = call("weights", "add", file, "--names", "llama", "--for", ROOT / "specs" / "pretrained.job")
    assert said.code == 5 and "error[E0443]" in said.err and words in said.err and "weights show" in said.err
