"""A grouping that goes on from an earlier one is the one that would be made from the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.workloads import SPECS
from jobspec.ir.target import Target
from jobspec.loading import read_spec
from jobspec.passes import fuse
from jobspec.passes.groups import Grouping
from jobspec.passes.pipeline import compile_job
from jobspec.passes.reads import Reads
from jobspec.store.home import Home

TARGET = Target("llvm", lanes=16, registers=32)


class FromTheStart(fuse.Grouper):
    """Every grouping anew, and all that it asks."""

    def regrouped(self, before: Grouping, reads: Reads) -> Grouping:
        return self.grouped(Reads(reads.virtual, reads.copied))


class GoingOn(fuse.Grouper):
    """Notes where groupings begin."""

    starts: list[int]

    def _filled(self, grouping: Grouping, start: int, *, marked: bool) -> Grouping:
        self.starts.append(start)
        return super()._filled(grouping, start, marked=marked)


@pytest.mark.parametrize("name", ["vae", "diffusion"])
def test_a_grouping_goes_on_from_where_it_differs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = read_spec(SPECS / f"{name}.job", {}, Home(tmp_path)).job
    GoingOn.starts = []
    monkeypatch.setattr(fuse, "Grouper", GoingOn)
    plan = compile_job(job, TARGET)
    assert any(GoingOn.starts)
    monkeypatch.setattr(fuse, "Grouper", FromTheStart)
    assert compile_job(job, TARGET) == plan
