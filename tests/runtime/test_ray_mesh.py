"""Jobs whose text says a mesh, on Ray: slices of parameters, stages of layers, and the receipt of a run alone."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.workloads import SPECS
from jobspec import api
from jobspec.loading import Spec, read_spec
from jobspec.runtime.workers.seats import Asked
from jobspec.store.home import Home
from tests.spec_jobs import SMALL, made_up, roots

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray: pip install '.[ray]'"),
]
TP = "mesh = [tp=2]; shard H F over tp"
ALL = "mesh = [dp=2, pp=2, tp=2]; shard H F over tp; shard L over pp; shard B over dp"
SETS = {**SMALL["char_gpt"], "H": "4", "B": "4", "T": "8", "train.steps": "12", "train.shards": "2", "eval.every": "6"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return made_up(tmp_path_factory.mktemp("home"))


def gpt(folder: Path, home: Home, run: str) -> Spec:
    """The small GPT with a mesh in its text."""
    path = folder / "meshed.job"
    path.write_text(f"{(SPECS / 'char_gpt.job').read_text()}\nrun {{ {run} }}\n")
    return read_spec(path, {**SETS, **roots("char_gpt", home)}, home)


def receipt(spec: Spec, home: Home, asked: Asked | None) -> bytes:
    run = api.run(api.compile(spec, home=home.folder), again=True, workers=asked, progress=False, home=home.folder)
    assert run.receipt is not None
    return run.receipt.read_bytes()


def check(folder: Path, home: Home, run: str, workers: int) -> None:
    spec = gpt(folder, home, run)
    asked = Asked(("llvm",) * workers, "llvm", recheck=0.02)
    assert receipt(spec, home, asked) == receipt(spec, home, None)


def test_two_positions(tmp_path: Path, home: Home) -> None:
    check(tmp_path, home, TP, 2)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_eight_positions_on_any_number_of_workers(tmp_path: Path, home: Home, workers: int) -> None:
    check(tmp_path, home, ALL, workers)
