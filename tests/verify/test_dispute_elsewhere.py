"""Disputes with a run that lies in another store."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobspec.ir.codec.job import job_hash
from jobspec.ir.errors import DataError
from jobspec.runtime.transfer import push_run
from jobspec.store.home import Home
from jobspec.store.remote import Remote
from jobspec.verify import settling
from tests.runtime.jobs import home_at
from tests.verify.faulty import faulty_run
from tests.verify.test_dispute import STEP, Rate, deep, good, means, right

__all__ = ["good"]


@pytest.mark.parametrize("traced", [True, False])
def test_a_run_at_a_url(good: Home, tmp_path: Path, traced: bool) -> None:
    """By its folder, or its receipt; the finding is that of the folders here."""
    mine = right(good, traces=traced)
    wrong = faulty_run(deep(good), good, home_at(tmp_path / "b"), STEP, Rate, traced).path
    here = settling.dispute(mine, wrong, means(good))
    for url in (f"file://{wrong}", f"file://{wrong}/receipt.cbor"):
        there = settling.dispute(mine, url, means(good))
        assert there.wrong == (url,) and (there.record, there.step) == (here.record, here.step)
        assert there.operation == here.operation and there.element == here.element


def test_a_run_that_was_pushed(good: Home, tmp_path: Path) -> None:
    mine = right(good, traces=False)
    home, job = home_at(tmp_path / "b"), deep(good)
    faulty_run(job, good, home, STEP, Rate, False)
    remote = Remote(f"memory://{tmp_path.name}")
    push_run(home, remote, job_hash(job))
    url = f"{remote.url}/runs/{job_hash(job).hex}"
    found = settling.dispute(mine, url, means(good))
    assert found.wrong == (url,) and "tensor `" in str(found)


def test_what_is_no_run(good: Home, tmp_path: Path) -> None:
    mine = right(good, traces=False)
    with pytest.raises(DataError) as caught:
        settling.dispute(mine, f"file://{tmp_path}", means(good))
    assert caught.value.code == "E0714"
    (tmp_path / "receipt.cbor").write_bytes(b"no receipt")
    with pytest.raises(DataError) as caught:
        settling.dispute(f"file://{tmp_path}", mine, means(good))
    assert caught.value.code == "E0603"
