"""Batches: the right examples in the right bytes, however they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobspec.ir.errors import DataError
from jobspec.ir.job import Job
from jobspec.runtime.batches import Ahead, Feeder, phase_shares
from jobspec.store.home import Home
from tests.runtime.jobs import SIZE, WIDTH, compiled, counting, examples_at, sets_of, token_data


def feeder(job: Job, home: Home) -> Feeder:
    phase = job.phases[0]
    return Feeder(compiled(job).plan.routine("step"), phase.batches, phase_shares(job, phase, sets_of(job, home)))


def test_rows_hold_the_examples_of_their_positions(line: Job, home: Home) -> None:
    rows = feeder(line, home).rows(2, 3)
    data = sets_of(line, home)["train"]
    x, y = data.array("x"), data.array("y")
    assert rows.shape == (3, 128)
    for step, row in enumerate(rows, 2):
        chosen = examples_at(line.phases[0].batches.stream, 10, step * SIZE, SIZE)
        assert (row[:48].view("<f4").reshape(SIZE, WIDTH) == x[chosen]).all()
        assert (row[64:80].view("<f4") == y[chosen]).all()


def test_portions_make_no_difference(line: Job, home: Home) -> None:
    whole = feeder(line, home).rows(0, 9)
    parts = [feeder(line, home).rows(first, count) for first, count in ((0, 1), (1, 5), (6, 0), (6, 3))]
    assert (whole == np.concatenate(parts)).all()


def test_windows_overlap_by_the_token_that_follows(home: Home) -> None:
    job = counting(str(token_data(home)))
    source = feeder(job, home)
    assert source.examples == [6]
    tokens = np.arange(20) % 7
    for step, row in enumerate(source.rows(0, 9)):
        chosen = examples_at(job.phases[0].batches.stream, 6, 2 * step, 2)
        tok, following = row[:12].view("<u2").reshape(2, 3), row[64:76].view("<u2").reshape(2, 3)
        for line, example in enumerate(chosen):
            assert tok[line].tolist() == tokens[3 * example : 3 * example + 3].tolist()
            assert following[line].tolist() == tokens[3 * example + 1 : 3 * example + 4].tolist()


def test_a_text_shorter_than_a_window_is_refused(home: Home) -> None:
    with pytest.raises(DataError, match=r"3 tokens.*takes 4") as caught:
        feeder(counting(str(token_data(home, 3))), home)
    assert caught.value.code == "E0408"


def test_a_changed_shard_is_named(line: Job, home: Home) -> None:
    path = largest(home.folder / "data")
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"shard \d of .*changed: {path}"):
        feeder(line, home).rows(0, 5)


def largest(folder: Path) -> Path:
    """A shard."""
    return max((p for p in folder.iterdir() if p.suffix == ""), key=lambda p: p.stat().st_size)


def test_reading_ahead_gives_the_same_rows(line: Job, home: Home) -> None:
    plain = feeder(line, home)
    with Ahead(plain) as ahead:
        assert (ahead.rows(0, 2) == plain.rows(0, 2)).all()
        ahead.ask(2, 3)
        assert (ahead.rows(2, 3) == plain.rows(2, 3)).all()
        ahead.ask(5, 3)
        assert (ahead.rows(5, 1) == plain.rows(5, 1)).all()


def test_an_error_ahead_is_raised_where_the_rows_are_taken(line: Job, home: Home) -> None:
    source = feeder(line, home)
    with Ahead(source) as ahead:
        for path in (home.folder / "data").iterdir():
            path.unlink()
        ahead.ask(0, 2)
        with pytest.raises(DataError, match="missing"):
            ahead.rows(0, 2)
