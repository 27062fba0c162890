"""The same receipts from native code, whatever the threads, stopped and taken up."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.job import Job
from jobspec.runtime.run import Order, run
from jobspec.store.home import Home
from tests.runtime.jobs import compiled, counting, home_at, regression_data, sets_of, token_data, train
from tests.runtime.test_run import receipt_of


def native(job: Job, home: Home, threads: int, until: int | None = None) -> int:
    return run(compiled(job, "llvm"), lambda: sets_of(job, home), home, Order(threads, until)).steps


@pytest.mark.parametrize("stop", [1, 5, 7])
def test_mixed_backends_and_threads(line: Job, home: Home, tmp_path: Path, stop: int) -> None:
    train(line, home)
    other = home_at(tmp_path / "other")
    regression_data(other)
    assert native(line, other, 1, until=stop) == stop
    assert train(line, other, until=stop + 2).steps == stop + 2
    assert native(line, other, 2) == 12
    assert receipt_of(line, other) == receipt_of(line, home)


def test_tokens(home: Home, tmp_path: Path) -> None:
    job = counting(str(token_data(home)))
    train(job, home)
    other = home_at(tmp_path / "other")
    token_data(other)
    assert native(job, other, 2, until=3) == 3
    assert native(job, other, 1) == 6
    assert receipt_of(job, other) == receipt_of(job, home)
