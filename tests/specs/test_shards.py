"""A spec with experts in pieces: the objective is that of the whole batch, and native code has the reference's bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import jobspec
from tests.specs.tiny import entries

STEPS = 2


@pytest.mark.slow
@pytest.mark.parametrize("shards", ["4", "per_piece(2)"])
def test_mixtral_in_pieces(shards: str, tmp_path: Path) -> None:
    """Experts are balanced over the batch: with `shards` over all of it, with `per_piece` in each piece."""
    found = {}
    for on, setting in (("llvm", shards), ("reference", shards), ("llvm", "1")):
        store = tmp_path / f"{on}{setting}"
        run = jobspec.run(compiled(store, on, setting), until=STEPS, threads=2, home=store)
        found[on, setting] = run.metrics["step.loss"], run.state
    (native, state), (plain, same) = found["llvm", shards], found["reference", shards]
    assert state == same and native.tobytes() == plain.tobytes()
    # the first loss is a sum over the same examples in another order; only the balance is another in each piece
    error = abs(native[0] / found["llvm", "1"][0][0] - 1)
    assert error < 1e-6 if shards == "4" else error > 1e-6, error


def compiled(store: Path, on: str, shards: str) -> jobspec.Program:
    small = entries()["mixtral_8x7b"]
    return replace(small, values={**small.values, "train.shards": shards}).compiled(store, on)
