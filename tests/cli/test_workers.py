"""`jobspec run --workers`: what is said before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.runtime.workers import ray_cluster
from jobspec.runtime.workers.seats import asked_of, backends_of
from jobspec.runtime.workers.tally import Tally
from jobspec.runtime.workers.timeline import Span, Timeline
from tests.cli.conftest import Call


def refused(call: Call, *words: object) -> tuple[int, str]:
    """Exit code and code of an error that is one line and a help."""
    answer = call("run", *words)
    assert not answer.out and len(answer.err.splitlines()) == 2 and answer.err.splitlines()[1].startswith("help: ")
    return answer.code, answer.err[6:11]


def test_a_step_in_one_piece(call: Call, tiny: Path) -> None:
    assert refused(call, tiny, "--workers", "2") == (2, "E0865")
    assert "`shards = 2`" in call("run", tiny, "--workers", "2").err
    assert "`shards = 4`" in call("run", tiny, "--workers", "3").err


@pytest.mark.parametrize("words", ["some", "0", "llvm=", "llvm=2,", "-1", "llvm=1;opencl=1"])
def test_no_number_of_workers(call: Call, tiny: Path, words: str) -> None:
    assert refused(call, tiny, f"--workers={words}") == (2, "E0864")


def test_without_ray(call: Call, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(ray_cluster, "import_module", absent)
    assert refused(call, tiny, "--set", "train.shards=2", "--workers", "2") == (2, "E0863")
    assert "pip install 'jobspec[ray]'" in call("run", tiny, "--workers", "1").err


def test_a_confined_run(call: Call, tiny: Path) -> None:
    assert refused(call, tiny, "--workers", "1", "--sandbox") == (2, "E0866")


@pytest.mark.parametrize("words", [("--recheck", "0"), ("--share-updates",)])
def test_an_option_for_workers_without_any(call: Call, tiny: Path, words: tuple[str, ...]) -> None:
    assert refused(call, tiny, *words) == (2, "E0869")


def test_what_is_asked_for() -> None:
    assert backends_of("3", "llvm") == ("llvm",) * 3
    assert backends_of("llvm=2, opencl=1", "reference") == ("llvm", "llvm", "opencl")
    assert asked_of(None, None, "llvm") is None
    each = asked_of(None, "auto", "cuda", 0.1, None)
    assert each is not None and each.backends == () and each.default == "cuda"


def test_the_line() -> None:
    assert str(Tally(workers=2)) == ""
    assert str(Tally(4, 9, 3, 12, 1_300_000_000)) == "4 workers  3 redone  12 checked  1.3 GB moved"
    assert str(Tally(1, 1, 0, 0, 512)) == "1 worker  512 B moved"


def test_the_timeline() -> None:
    line = Timeline()
    line.spans.append(Span("w2", "block.0.1 of step 7", "done", 1.5, 1.75))
    assert line.trace() == {
        "traceEvents": [
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": 0, "args": {"name": "w2"}},
            {"name": "block.0.1 of step 7", "cat": "done", "ph": "X", "ts": 1500000, "dur": 250000, "pid": 1, "tid": 0},
        ]
    }
