"""Every spec made small trains: its loss falls below the figure in specs/tiny.toml, and native code has the bits of
the reference after two steps. The full-size text loads, and has the parameters that docs/specs.md computes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

import jobspec
from tests.specs.tiny import SPECS, Tiny, entries

#: steps that the reference does too
SAME = 2
TINY = entries()


@pytest.mark.parametrize("name", TINY)
def test_tiny(name: str, tmp_path: Path, trained: Callable[[str], Path]) -> None:
    """Stopped after two steps, compared, and trained on from there."""
    tiny = TINY[name]
    for store in ("llvm", "plain") if tiny.base else ():
        copytree(trained(str(tiny.base)), tmp_path / store)
    native = tiny.compiled(tmp_path / "llvm")
    begun = jobspec.run(native, until=SAME, threads=1, home=tmp_path / "llvm")
    plain = jobspec.run(tiny.compiled(tmp_path / "plain", "reference"), until=SAME, home=tmp_path / "plain")
    assert begun.state == plain.state
    trains(tiny, jobspec.run(native, threads=1, home=tmp_path / "llvm"))


def trains(tiny: Tiny, run: jobspec.Run) -> None:
    """The mean of the last tenth of the losses is below the figure, which the first is not."""
    losses = run.metrics[tiny.report]
    assert run.steps >= 100 and len(losses) >= 10
    assert losses[0] > tiny.loss > np.mean(losses[-(len(losses) // 10) :])
    assert all(np.isfinite(value) for value in run.final.values())


def test_a_base_is_the_state_that_is_named() -> None:
    """Where a small job is its spec as it stands, the hash in the text is what training the base gives; that the base
    gives it, `test_tiny` sees: nothing else is in the store."""
    assert {tiny.name for tiny in TINY.values() if tiny.base} == {
        path.stem for path in SPECS.glob("*.job") if "  start =" in path.read_text()
    }


def test_every_spec_has_a_small_sibling() -> None:
    """Those with an expected result beside them are trained whole (test_expected.py)."""
    whole = {path.name.removesuffix(".expected.json") for path in SPECS.glob("*.expected.json")}
    assert {path.stem for path in SPECS.glob("*.job")} == set(TINY) | whole
