"""Every spec on OpenCL: made small, its training ends in the state that llvm ends in; whole, in the state beside it.

The quick tests train a few small ones for some steps; `-m slow` trains all of them to their end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest

import jobspec
from tests.spec_jobs import real
from tests.specs.conftest import trained
from tests.specs.tiny import SPECS, entries

pytestmark = pytest.mark.opencl
__all__ = ["trained"]
TINY = entries()
#: between them: loops, maps chosen by an index, convolutions, draws
QUICK = ("lstm", "mixtral_8x7b", "unet")
STEPS = 3


def same(name: str, home: Path, until: int | None) -> None:
    """State after `until` steps (None: all), and what is reported of each, on llvm and on opencl."""
    llvm, device = (
        jobspec.run(TINY[name].compiled(home / on, on), until=until, home=home / on) for on in ("llvm", "opencl")
    )
    assert device.state == llvm.state and device.steps == llvm.steps > 0
    assert {k: x.tobytes() for k, x in device.metrics.items()} == {k: x.tobytes() for k, x in llvm.metrics.items()}


@pytest.mark.parametrize("name", QUICK)
def test_some_steps(name: str, tmp_path: Path) -> None:
    same(name, tmp_path, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_to_the_end(name: str, tmp_path: Path, trained: Callable[[str], Path]) -> None:
    for on in ("llvm", "opencl") if TINY[name].base else ():
        copytree(trained(str(TINY[name].base)), tmp_path / on)
    same(name, tmp_path, None)


def reaches(name: str, home: Path) -> None:
    expected = json.loads((SPECS / f"{name}.expected.json").read_text())
    run = jobspec.run(SPECS / f"{name}.job", on="opencl", home=home)
    assert {"job": run.job, "state": run.state, "steps": run.steps, "metrics": run.final} == expected


@pytest.mark.pocl
def test_digits_reaches_its_expected_state(tmp_path: Path) -> None:
    reaches("digits", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist_cnn", "char_gpt"])
def test_whole_specs_reach_their_expected_state(name: str, tmp_path: Path, shared_data: Path) -> None:
    reaches(name, real(tmp_path, shared_data).folder)
